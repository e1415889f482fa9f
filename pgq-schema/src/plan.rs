use std::fmt;

use crate::{Found, Schema, Step};

/// What is there, and the steps that an installation, an upgrade or a removal takes.
///
/// `Display` prints it for people; its alternate form, `{:#}`, with the statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    findings: Vec<Finding>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    schema: Schema,
    found: Found,
    decision: String,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self { findings: Vec::new(), steps: Vec::new() }
    }

    pub(crate) fn decide(&mut self, schema: Schema, found: Found, decision: impl Into<String>) {
        self.findings.push(Finding { schema, found, decision: decision.into() });
    }

    pub(crate) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub(crate) fn push_first(&mut self, step: Step) {
        self.steps.insert(0, step);
    }

    /// Puts the steps between two others, if there are any.
    pub(crate) fn between(mut self, first: Step, last: Step) -> Self {
        if !self.steps.is_empty() {
            self.push_first(first);
            self.push(last);
        }
        self
    }

    /// The steps, in their order. All of them belong into one transaction.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What was there of a schema when the plan was made; `None` if the plan is not about it.
    pub fn found(&self, schema: Schema) -> Option<&Found> {
        self.findings.iter().find(|finding| finding.schema == schema).map(|finding| &finding.found)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { schema, found, decision } in &self.findings {
            writeln!(f, "{schema}: {found} is there; {decision}")?;
        }
        if self.steps.is_empty() {
            return writeln!(f, "nothing to do");
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>3}. {step}", number + 1)?;
            if f.alternate() {
                writeln!(f, "\n{}\n", step.sql().trim_end())?;
            }
        }
        Ok(())
    }
}
