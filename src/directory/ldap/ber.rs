//! BER, as far as LDAP messages need it (RFC 4511 5.1): definite lengths, tags below 31.
//!
//! ldap3's reader goes down one level of its stack for each level of the data, without end, and panics at what it
//! does not expect. A stack that overflows ends the process, so whatever a server says passes [`frame`] first: it takes
//! no message that is too long or too deep.

/// Longest message of a server, in bytes. An entry has only the attributes that were asked for.
pub(super) const LONGEST: usize = 4 * 1024 * 1024;

/// Deepest nesting of a message. A search entry needs 4, a control 5.
const DEEPEST: usize = 16;

/// Not what an LDAP server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// One element: `tag length content`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The identifier octet: class, form and number.
    pub(super) tag: u8,
    /// What is in it.
    pub(super) content: &'a [u8],
}

/// Bit of the identifier that says that elements are inside.
const CONSTRUCTED: u8 = 0x20;

/// The identifier of every LDAPMessage.
const SEQUENCE: u8 = 0x30;

/// The length of the message that `bytes` begin with, as soon as it is there as a whole.
///
/// # Errors
///
/// What begins there is no message, longer than [`LONGEST`], or deeper than can be taken.
pub(super) fn frame(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    match bytes.first() {
        None => return Ok(None),
        Some(&SEQUENCE) => {}
        Some(_) => return Err(Malformed),
    }
    let Some((head, length)) = header(bytes)? else { return Ok(None) };
    let whole = head.checked_add(length).filter(|&whole| whole <= LONGEST).ok_or(Malformed)?;
    match bytes.get(head..whole) {
        None => Ok(None),
        Some(content) if sound(content) => Ok(Some(whole)),
        Some(_) => Err(Malformed),
    }
}

/// The first element of `bytes`, and what is behind it.
pub(super) fn element(bytes: &[u8]) -> Result<(Element<'_>, &[u8]), Malformed> {
    let (head, length) = header(bytes)?.ok_or(Malformed)?;
    let (&tag, _) = bytes.split_first().ok_or(Malformed)?;
    let rest = bytes.get(head..).ok_or(Malformed)?;
    let (content, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
    Ok((Element { tag, content }, rest))
}

/// A number of at most 32 bits, as a whole content.
pub(super) fn number(content: &[u8]) -> Result<u32, Malformed> {
    if content.is_empty() || content.len() > 5 {
        return Err(Malformed);
    }
    let number = content.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    u32::try_from(number).map_err(|_| Malformed)
}

/// Octets of the header, and the length that it tells. `None`: more has to come.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let (Some(&tag), Some(&first)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        return Err(Malformed);
    }
    if first < 0x80 {
        return Ok(Some((2, usize::from(first))));
    }
    let octets = usize::from(first & 0x7f);
    // 0x80 is a length that nobody tells beforehand, which LDAP does not allow.
    if !(1..=4).contains(&octets) {
        return Err(Malformed);
    }
    let Some(told) = bytes.get(2..2 + octets) else { return Ok(None) };
    let length = told.iter().fold(0_usize, |length, &byte| length << 8 | usize::from(byte));
    Ok(Some((2 + octets, length)))
}

/// Whether `content` is nothing but elements, within each other down to [`DEEPEST`].
fn sound(content: &[u8]) -> bool {
    // What is still to be read on each level; the outermost first.
    let mut levels = vec![content];
    while let Some(rest) = levels.pop() {
        if rest.is_empty() {
            continue;
        }
        let Ok((inner, rest)) = element(rest) else { return false };
        levels.push(rest);
        if inner.tag & CONSTRUCTED != 0 {
            if levels.len() >= DEEPEST {
                return false;
            }
            levels.push(inner.content);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LONGEST, Malformed, element, frame, number};

    /// An element of any length.
    fn encoded(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        match content.len() {
            length @ 0..0x80 => bytes.push(u8::try_from(length).unwrap()),
            length => {
                bytes.push(0x84);
                bytes.extend(u32::try_from(length).unwrap().to_be_bytes());
            }
        }
        bytes.extend(content);
        bytes
    }

    #[test]
    fn a_message_is_cut_where_it_ends() {
        // A bind's answer: message 1, [APPLICATION 1] { 0, "", "" }.
        let bound = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(frame(bound), Ok(Some(14)));
        assert_eq!(frame(&[bound.as_slice(), b"\x30"].concat()), Ok(Some(14)));
        for length in 0..bound.len() {
            assert_eq!(frame(&bound[..length]), Ok(None), "{length}");
        }
        for bad in [
            b"HTTP/1.1 400".as_slice(),
            b"\x30\x80\x02\x01\x01\x00\x00",
            b"\x30\x85\x00\x00\x00\x00\x01\x00",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x03\x02\x05\x01",
            b"\x30\x02\x1f\x00",
        ] {
            assert_eq!(frame(bad), Err(Malformed), "{}", bad.escape_ascii());
        }
        let huge = u32::try_from(LONGEST).unwrap().to_be_bytes();
        assert_eq!(frame(&[b"\x30\x84".as_slice(), &huge].concat()), Err(Malformed));
    }

    #[test]
    fn what_is_too_deep_is_no_message() {
        let nested = |depth: usize| (0..depth).fold(Vec::new(), |inside, _| encoded(0x30, &inside));
        assert!(matches!(frame(&nested(16)), Ok(Some(_))));
        assert_eq!(frame(&nested(17)), Err(Malformed));
        // As deep as a message can be: a reader that follows would need some hundred MiB of stack.
        let mut deep = Vec::new();
        while deep.len() < 1 << 20 {
            let length = u32::try_from(deep.len()).unwrap().to_be_bytes();
            deep.extend(length.iter().rev());
            deep.extend([0x84, 0x30]);
        }
        deep.reverse();
        assert_eq!(frame(&deep), Err(Malformed));
    }

    #[test]
    fn numbers_have_32_bits() {
        let known: [(&[u8], _); 6] = [
            (b"", Err(Malformed)),
            (b"\x00", Ok(0)),
            (b"\x31", Ok(49)),
            (b"\x00\xff\xff\xff\xff", Ok(u32::MAX)),
            (b"\x01\x00\x00\x00\x00", Err(Malformed)),
            (b"\x00\x00\x00\x00\x00\x01", Err(Malformed)),
        ];
        for (content, expected) in known {
            assert_eq!(number(content), expected, "{}", content.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>) {
            let _ = frame(&bytes);
            let _ = element(&bytes);
        }

        #[test]
        fn what_is_a_frame_is_read_by_ldap3s_reader(contents in prop::collection::vec(any::<(bool, Vec<u8>)>(), 0..4)) {
            let inside: Vec<u8> = contents
                .iter()
                .flat_map(|(wrapped, content)| {
                    let plain = encoded(0x04, content);
                    if *wrapped { encoded(0x31, &plain) } else { plain }
                })
                .collect();
            let message = encoded(0x30, &inside);
            prop_assert_eq!(frame(&message), Ok(Some(message.len())));
            let (rest, _) = ldap3::asn1::parse_tag(&message).unwrap();
            prop_assert!(rest.is_empty());
        }
    }
}
