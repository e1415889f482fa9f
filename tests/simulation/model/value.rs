/// The type of a column or parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int4,
    Int8,
    Float8,
    Text,
    Time,
}

/// A value that a statement is given or answers with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int4(i32),
    Int8(i64),
    Float8(f64),
    Text(String),
    /// Microseconds since 2000.
    Time(i64),
    Int8s(Vec<i64>),
    Texts(Vec<Option<String>>),
}

pub(crate) type Row = Vec<Value>;

impl Value {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    pub(crate) fn int8(self) -> i64 {
        match self {
            Self::Int8(number) => number,
            other => panic!("{other:?} is no bigint"),
        }
    }

    pub(crate) fn int4(self) -> i32 {
        self.maybe_int4().expect("a number")
    }

    pub(crate) fn maybe_int4(self) -> Option<i32> {
        match self {
            Self::Int4(number) => Some(number),
            Self::Null => None,
            other => panic!("{other:?} is no integer"),
        }
    }

    /// Seconds as microseconds.
    pub(crate) fn maybe_interval(self) -> Option<i64> {
        match self {
            Self::Float8(seconds) => Some((seconds * 1e6).round() as i64),
            Self::Null => None,
            other => panic!("{other:?} is no number of seconds"),
        }
    }

    pub(crate) fn int8s(self) -> Vec<i64> {
        match self {
            Self::Int8s(numbers) => numbers,
            other => panic!("{other:?} is no array of bigints"),
        }
    }

    /// Times travel as bigints.
    pub(crate) fn int4s(self) -> Vec<i32> {
        match self {
            Self::Int8s(numbers) => {
                numbers.iter().map(|&number| i32::try_from(number).expect("an integer")).collect()
            }
            other => panic!("{other:?} is no array of integers"),
        }
    }

    pub(crate) fn texts(self) -> Vec<Option<String>> {
        match self {
            Self::Texts(texts) => texts,
            other => panic!("{other:?} is no array of texts"),
        }
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Int8)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
