use std::fmt;

use crate::{Found, Schema, Step};

/// What was found of each schema, and the steps that an installation, an upgrade or a removal takes. Reads alike before and after they
/// are run.
///
/// `Display` prints it for people, with the number of steps; its alternate form, `{:#}`, with each step and its statements.
///
/// ```text
/// pgq: found nothing; new: the portable engine, release 1
/// pgq_coop: found the portable engine, release 1; kept
/// 30 steps: session 2, pgq 28
/// ```
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

    /// How many steps each part has, in the order in which they begin.
    fn parts(&self) -> Vec<(&str, usize)> {
        let mut parts: Vec<(&str, usize)> = Vec::new();
        for step in &self.steps {
            match parts.iter_mut().find(|(part, _)| *part == step.part()) {
                Some((_, steps)) => *steps += 1,
                None => parts.push((step.part(), 1)),
            }
        }
        parts
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { schema, found, decision } in &self.findings {
            writeln!(f, "{schema}: found {found}; {decision}")?;
        }
        match self.steps.len() {
            0 => return f.write_str("nothing to do\n"),
            1 => write!(f, "1 step")?,
            several => write!(f, "{several} steps")?,
        }
        for (number, (part, steps)) in self.parts().into_iter().enumerate() {
            write!(f, "{} {part} {steps}", if number == 0 { ":" } else { "," })?;
        }
        writeln!(f)?;
        if f.alternate() {
            for (number, step) in self.steps.iter().enumerate() {
                writeln!(f, "{:>3}. {step}\n\n{}\n", number + 1, step.sql().trim_end())?;
            }
        }
        Ok(())
    }
}
