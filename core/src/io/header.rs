//! The header of a `.npy` file: a Python dict of three keys.

use std::fmt::Write;

/// The order of the elements in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The last axis is contiguous.
    C,
    /// The first axis is contiguous.
    Fortran,
}

/// The contents of a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The dtype in NumPy's spelling, for example `<f4`.
    pub descr: String,
    pub order: Order,
    pub shape: Vec<usize>,
}

/// Returns all bytes of the file before the elements. The elements begin at a multiple of 64 bytes.
pub(super) fn encode(descr: &str, order: Order, shape: &[usize]) -> Vec<u8> {
    let mut axes = String::new();
    for (i, n) in shape.iter().enumerate() {
        let before = if i == 0 { "" } else { " " };
        let after = if i == 0 || i + 1 < shape.len() { "," } else { "" };
        write!(axes, "{before}{n}{after}").expect("writing to a String cannot fail");
    }
    let fortran = if order == Order::Fortran { "True" } else { "False" };
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({axes}), }}");
    let before = super::npy::MAGIC.len() + 4;
    let total = (before + text.len() + 1).next_multiple_of(64);
    let size = u16::try_from(total - before).expect("16 axes fit into a header of version 1.0");
    let mut out = super::npy::MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend(size.to_le_bytes());
    out.extend(text.as_bytes());
    out.resize(total - 1, b' ');
    out.push(b'\n');
    out
}

/// Parses the dict. Its keys may come in any order. Each key must occur exactly once, and no other key may occur.
pub(super) fn parse(text: &[u8]) -> Result<Header, String> {
    let mut p = Parser { text, at: 0 };
    let (mut descr, mut order, mut shape) = (None, None, None);
    p.expect(b'{')?;
    while !p.take(b'}') {
        let key = p.string()?;
        p.expect(b':')?;
        let twice = match key {
            "descr" => descr.replace(p.descr()?).is_some(),
            "fortran_order" => order.replace(p.order()?).is_some(),
            "shape" => shape.replace(p.shape()?).is_some(),
            other => return Err(format!("unknown key {other:?}; the allowed keys are descr, fortran_order and shape")),
        };
        if twice {
            return Err(format!("the key {key:?} occurs twice"));
        }
        if !p.take(b',') {
            p.expect(b'}')?;
            break;
        }
    }
    p.end()?;
    let missing = |key: &str| format!("the key {key:?} is missing");
    Ok(Header {
        descr: descr.ok_or_else(|| missing("descr"))?,
        order: order.ok_or_else(|| missing("fortran_order"))?,
        shape: shape.ok_or_else(|| missing("shape"))?,
    })
}

/// A position in the text. It only moves forward, and no method is recursive, so the work is bounded by the length.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    /// Skips white space and returns the next byte without consuming it.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.take(byte) { Ok(()) } else { Err(self.instead_of(&format!("{:?}", char::from(byte)))) }
    }

    fn end(&mut self) -> Result<(), String> {
        if self.peek().is_none() { Ok(()) } else { Err(self.instead_of("its end")) }
    }

    fn instead_of(&mut self, expected: &str) -> String {
        match self.peek() {
            Some(b) => format!("byte {} is {:?}, where {expected} was expected", self.at, char::from(b)),
            None => format!("it ends at byte {}, where {expected} was expected", self.at),
        }
    }

    /// Skips white space, then consumes and returns all letters, digits and `_` that follow.
    fn word(&mut self) -> &'a [u8] {
        self.peek();
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Parses a quoted string without escapes.
    fn string(&mut self) -> Result<&'a str, String> {
        let quote = self.peek().filter(|b| matches!(b, b'\'' | b'"')).ok_or_else(|| self.instead_of("a string"))?;
        let rest = &self.text[self.at + 1..];
        let len = rest
            .iter()
            .position(|&b| b == quote)
            .ok_or_else(|| format!("the string at byte {} has no end", self.at))?;
        let inside = std::str::from_utf8(&rest[..len]).ok().filter(|s| !s.contains('\\'));
        let inside = inside.ok_or_else(|| format!("the string at byte {} has an escape or is not UTF-8", self.at))?;
        self.at += len + 2;
        Ok(inside)
    }

    fn descr(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(b'[' | b'(' | b'{') => {
                Err("descr is not a single dtype: structured arrays (records) are not supported; save each field \
                     (a['name']) separately"
                    .into())
            }
            _ => self.string().map(str::to_string),
        }
    }

    fn order(&mut self) -> Result<Order, String> {
        let at = self.at;
        match self.word() {
            b"True" => Ok(Order::Fortran),
            b"False" => Ok(Order::C),
            _ => {
                self.at = at;
                Err(self.instead_of("True or False"))
            }
        }
    }

    /// Parses a tuple of lengths. Rejects `(3)`: in Python that is a number, not a tuple.
    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect(b'(')?;
        while !self.take(b')') {
            shape.push(self.length()?);
            if !self.take(b',') {
                if shape.len() == 1 {
                    return Err(self.instead_of("',' (a tuple of one has a comma)"));
                }
                self.expect(b')')?;
                break;
            }
        }
        Ok(shape)
    }

    /// Parses a length. Accepts a trailing `L`, which Python 2 wrote after long integers.
    fn length(&mut self) -> Result<usize, String> {
        let (at, word) = (self.at, self.word());
        let digits = word.strip_suffix(b"L").unwrap_or(word);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            self.at = at;
            return Err(self.instead_of("a length"));
        }
        let ten = |n: usize, d: &u8| n.checked_mul(10)?.checked_add(usize::from(d - b'0'));
        let shown = String::from_utf8_lossy(&digits[..digits.len().min(40)]);
        digits.iter().try_fold(0, ten).ok_or_else(|| format!("an axis of {shown} elements does not fit into usize"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_encoded_is_parsed() {
        for shape in [vec![], vec![0], vec![7], vec![2, 3], vec![usize::MAX; 16]] {
            for order in [Order::C, Order::Fortran] {
                let all = encode("<f4", order, &shape);
                assert_eq!(all.len() % 64, 0);
                assert_eq!(usize::from(u16::from_le_bytes([all[8], all[9]])), all.len() - 10);
                assert_eq!(parse(&all[10..]), Ok(Header { descr: "<f4".into(), order, shape: shape.clone() }));
            }
        }
    }

    #[test]
    fn other_spellings_that_python_has() {
        let h = parse(b"{\"shape\":(2L,3L,) ,\n 'fortran_order' : True, \"descr\":'|u1'}").unwrap();
        assert_eq!(h, Header { descr: "|u1".into(), order: Order::Fortran, shape: vec![2, 3] });
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&[u8], &str); 12] = [
            (b"", "ends at byte 0, where '{' was expected"),
            (b"[]", "byte 0 is '[', where '{' was expected"),
            (b"{'descr': '<f4', 'fortran_order': False, }", "the key \"shape\" is missing"),
            (b"{'descr': '<f4', 'descr': '<f4', }", "the key \"descr\" occurs twice"),
            (b"{'colour': 1}", "unknown key \"colour\""),
            (b"{'shape': (3)}", "a tuple of one has a comma"),
            (b"{'shape': (-1,)}", "is '-', where a length was expected"),
            (b"{'shape': (99999999999999999999,)}", "an axis of 99999999999999999999 elements does not fit"),
            (b"{'fortran_order': 1}", "is '1', where True or False was expected"),
            (b"{'descr': [('a', '<f4')]}", "(records) are not supported"),
            (b"{'descr': '<f4}", "the string at byte 10 has no end"),
            (b"{'descr': '\\x3cf4'}", "has an escape"),
        ];
        for (text, why) in cases {
            let said = parse(text).unwrap_err();
            assert!(said.contains(why), "{:?}: {said}", String::from_utf8_lossy(text));
        }
        let deep = [b"{'shape': ".to_vec(), vec![b'('; 9000]].concat();
        assert!(parse(&deep).unwrap_err().contains("is '(', where a length was expected"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            text in proptest::collection::vec(
                prop_oneof![any::<u8>(), proptest::sample::select(&b"{}()':,TrueFls0123 \n"[..])],
                0..200,
            ),
        ) {
            let _ = parse(&text);
        }

        #[test]
        fn no_change_of_a_header_makes_it_panic(at in 10usize..128, to in any::<u8>()) {
            let mut all = encode("<f4", Order::C, &[3, 4]);
            let at = at.min(all.len() - 1);
            all[at] = to;
            let _ = parse(&all[10..]);
        }
    }
}
