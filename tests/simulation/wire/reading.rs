/// Reads the fields of a message.
pub(super) struct Reading<'b>(&'b [u8]);

impl<'b> Reading<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&mut self, count: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.bytes(1)[0]
    }

    pub(super) fn int2(&mut self) -> i16 {
        i16::from_be_bytes(self.bytes(2).try_into().unwrap())
    }

    pub(super) fn int4(&mut self) -> i32 {
        i32::from_be_bytes(self.bytes(4).try_into().unwrap())
    }

    pub(super) fn int8(&mut self) -> i64 {
        i64::from_be_bytes(self.bytes(8).try_into().unwrap())
    }

    /// A text that ends with a zero.
    pub(super) fn text(&mut self) -> &'b str {
        let end = self.0.iter().position(|byte| *byte == 0).expect("the end of a text");
        let text = std::str::from_utf8(self.bytes(end)).expect("UTF-8");
        self.bytes(1);
        text
    }

    /// A value with its length; `None` for NULL.
    pub(super) fn value(&mut self) -> Option<&'b [u8]> {
        let length = self.int4();
        usize::try_from(length).ok().map(|length| self.bytes(length))
    }
}
