use std::fmt::Display;

use serde::de::{Expected, Unexpected};

use crate::Error;

/// Names the column where serde knows it, and leaves out the value, which serde's own messages quote: it may be a secret.
impl serde::de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::Deserialize { event: None, column: None, message: message.to_string() }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let null = if matches!(unexpected, Unexpected::Unit) { "NULL, " } else { "" };
        Self::custom(format_args!("{null}expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("expected one of {expected:?}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let message = format!("the type has no such field, only {expected:?}");
        Self::Deserialize { event: None, column: Some(field.to_owned()), message }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Deserialize {
            event: None,
            column: Some(field.to_owned()),
            message: "there is no such column".to_owned(),
        }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Deserialize {
            event: None,
            column: Some(field.to_owned()),
            message: "it is there twice".to_owned(),
        }
    }
}

/// What a deserializer of payloads says, without the values that it quotes: they may be secrets.
pub(crate) fn payload_error(format: &str, error: &impl Display) -> Error {
    const HARMLESS: [&str; 3] = ["missing field ", "duplicate field ", "EOF while parsing"];
    let message = error.to_string();
    match HARMLESS.iter().any(|start| message.starts_with(start)) {
        true => serde::de::Error::custom(format_args!("{format}: {message}")),
        false => {
            let place = message.rfind(" at line ").and_then(|at| message.get(at..)).unwrap_or_default();
            serde::de::Error::custom(format_args!("the {format} does not fit the type{place}"))
        }
    }
}
