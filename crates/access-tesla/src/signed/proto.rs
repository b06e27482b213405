//! As much of Protocol Buffers as signed commands need: a writer, and a reader that is stricter than most. Pure.
//!
//! Written here because the messages are a handful of fields, and because answers are hostile: lengths and counts are bounded, a
//! field that appears twice is an error, and so is one of another wire type than expected.

/// Longer messages are not read.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// Fields of one message that are read.
const FIELDS_MAX: usize = 64;
/// Largest field number of the format.
const NUMBER_MAX: u64 = (1 << 29) - 1;

/// Bytes that are no message, or not the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAMessage;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Writer(Vec<u8>);
impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
    #[must_use]
    pub fn number(mut self, field: u32, value: u32) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(u64::from(value));
        self
    }
    #[must_use]
    pub fn fixed32(mut self, field: u32, value: u32) -> Self {
        self.varint(u64::from(field) << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
    #[must_use]
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }
    #[must_use]
    pub fn message(self, field: u32, value: Self) -> Self {
        self.bytes(field, &value.0)
    }
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    Varint(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
    /// Eight bytes; no message of ours has any.
    Fixed64,
}

/// The fields of one message.
#[derive(Debug)]
pub(crate) struct Message<'a>(Vec<(u32, Value<'a>)>);

impl<'a> Message<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotAMessage> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(NotAMessage);
        }
        let (mut rest, mut fields) = (bytes, Vec::new());
        while !rest.is_empty() {
            if fields.len() == FIELDS_MAX {
                return Err(NotAMessage);
            }
            let key = varint(&mut rest)?;
            let number = key >> 3;
            if number == 0 || number > NUMBER_MAX {
                return Err(NotAMessage);
            }
            let value = match key & 7 {
                0 => Value::Varint(varint(&mut rest)?),
                1 => {
                    take(&mut rest, 8)?;
                    Value::Fixed64
                }
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).map_err(|_| NotAMessage)?;
                    Value::Bytes(take(&mut rest, length)?)
                }
                5 => {
                    let four: [u8; 4] = take(&mut rest, 4)?.try_into().map_err(|_| NotAMessage)?;
                    Value::Fixed32(u32::from_le_bytes(four))
                }
                _ => return Err(NotAMessage),
            };
            fields.push((u32::try_from(number).map_err(|_| NotAMessage)?, value));
        }
        Ok(Self(fields))
    }
    /// The field of this number; an error if it appears twice, for two answers to one question are no answer.
    fn one(&self, field: u32) -> Result<Option<Value<'a>>, NotAMessage> {
        let mut matching = self.0.iter().filter(|(number, _)| *number == field);
        match (matching.next(), matching.next()) {
            (first, None) => Ok(first.map(|(_, value)| *value)),
            _ => Err(NotAMessage),
        }
    }
    pub fn bytes(&self, field: u32) -> Result<Option<&'a [u8]>, NotAMessage> {
        match self.one(field)? {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(NotAMessage),
        }
    }
    pub fn message(&self, field: u32) -> Result<Option<Message<'a>>, NotAMessage> {
        self.bytes(field)?.map(Message::parse).transpose()
    }
    /// A number of at most 32 bits; absent is zero, as in the format.
    pub fn number(&self, field: u32) -> Result<u32, NotAMessage> {
        match self.one(field)? {
            None => Ok(0),
            Some(Value::Varint(n)) => u32::try_from(n).map_err(|_| NotAMessage),
            Some(_) => Err(NotAMessage),
        }
    }
    pub fn fixed32(&self, field: u32) -> Result<u32, NotAMessage> {
        match self.one(field)? {
            None => Ok(0),
            Some(Value::Fixed32(n)) => Ok(n),
            Some(_) => Err(NotAMessage),
        }
    }
    pub fn has(&self, field: u32) -> bool {
        self.0.iter().any(|(number, _)| *number == field)
    }
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn varint(rest: &mut &[u8]) -> Result<u64, NotAMessage> {
    let mut value = 0_u64;
    for n in 0..10 {
        let (byte, tail) = rest.split_first().ok_or(NotAMessage)?;
        *rest = tail;
        // The tenth byte has room for one bit.
        if n == 9 && *byte > 1 {
            return Err(NotAMessage);
        }
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(NotAMessage)
}
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], NotAMessage> {
    let (head, tail) = rest.split_at_checked(length).ok_or(NotAMessage)?;
    *rest = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = Writer::default().number(1, 300).fixed32(4, 0xdead_beef);
        let bytes = Writer::default().bytes(51, b"uuid").message(6, inner).number(12, u32::MAX).done();
        let read = Message::parse(&bytes).unwrap();
        assert_eq!(read.bytes(51), Ok(Some(&b"uuid"[..])));
        let inner = read.message(6).unwrap().unwrap();
        assert_eq!((inner.number(1), inner.fixed32(4), inner.number(9)), (Ok(300), Ok(0xdead_beef), Ok(0)));
        assert_eq!(read.number(12), Ok(u32::MAX));
        assert!(read.has(6) && !read.has(7) && !read.is_empty());
        // The format's own example: field 1, varint 150.
        assert_eq!(Writer::default().number(1, 150).done(), [0x08, 0x96, 0x01]);
    }

    #[test]
    fn hostile_bytes_are_refused_without_a_panic() {
        for bytes in [
            &[0x00][..],   // field number zero
            &[0x08],       // no value
            &[0x08, 0x80], // a varint without end
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            &[0x0a, 0x05, 1, 2], // shorter than it says
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x0d, 1, 2, 3], // half a fixed32
            &[0x09, 1, 2, 3], // half a fixed64
            &[0x0b],          // a group
            &[0x0f],          // no such wire type
        ] {
            assert!(Message::parse(bytes).is_err(), "{bytes:?}");
        }
        assert!(Message::parse(&vec![0x08; MESSAGE_BYTES_MAX + 1]).is_err());
        assert!(Message::parse(&[0x08, 0x01].repeat(FIELDS_MAX + 1)).is_err());
        let twice = Message::parse(&[0x08, 1, 0x08, 1]).unwrap();
        assert_eq!(twice.number(1), Err(NotAMessage));
        let wide = Message::parse(&[0x08, 0xff, 0xff, 0xff, 0xff, 0x7f]).unwrap();
        assert_eq!(
            (wide.number(1), wide.bytes(1), wide.fixed32(1)),
            (Err(NotAMessage), Err(NotAMessage), Err(NotAMessage))
        );
        for length in 0..64 {
            // Every beginning of a good message is read or refused, never a panic.
            let bytes = Writer::default().bytes(51, &[7; 16]).fixed32(3, 9).number(1, 1 << 20).done();
            let _ = Message::parse(&bytes[..length.min(bytes.len())]);
        }
    }
}
