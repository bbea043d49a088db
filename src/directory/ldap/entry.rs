//! One entry of a search, read without ldap3's own reader, which panics at what it does not expect.

use ldap3::asn1::{PL, StructureTag};
use zeroize::Zeroize;

use super::ber::Malformed;

/// `SearchResultEntry ::= [APPLICATION 4] SEQUENCE { objectName, attributes }` (RFC 4511 4.5.2).
pub(super) struct Entry {
    /// Where it is, as the server spells it.
    pub(super) dn: String,
    /// Names as the server spells them, with their values in the server's order.
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// The application tag of an entry.
const SEARCH_RESULT_ENTRY: u64 = 4;

impl Entry {
    /// Reads what ldap3 has cut out of a response. `None`: it is something else, such as a reference to another server.
    pub(super) fn read(tag: StructureTag) -> Result<Option<Self>, Malformed> {
        if tag.id != SEARCH_RESULT_ENTRY {
            return Ok(None);
        }
        let mut parts = constructed(tag)?.into_iter();
        let dn = text(parts.next())?;
        let mut attributes = Vec::new();
        for attribute in constructed(parts.next().ok_or(Malformed)?)? {
            let mut parts = constructed(attribute)?.into_iter();
            let name = text(parts.next())?;
            let values = constructed(parts.next().ok_or(Malformed)?)?;
            let values = values.into_iter().map(primitive).collect::<Result<_, _>>()?;
            attributes.push((name, values));
        }
        Ok(Some(Self { dn, attributes }))
    }

    /// One with these attributes.
    #[cfg(test)]
    pub(super) fn made(dn: &str, attributes: &[(&str, &[&str])]) -> Self {
        let values = |values: &[&str]| values.iter().map(|value| value.as_bytes().to_vec()).collect();
        let attributes = attributes.iter().map(|(name, of)| ((*name).to_owned(), values(of))).collect();
        Self { dn: dn.to_owned(), attributes }
    }

    /// The first value of an attribute. Which of several values is the first, only the server knows.
    pub(super) fn first(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// All attributes in the server's order, each with its name as the server spells it.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &[Vec<u8>])> {
        self.attributes.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The values of an attribute, whatever the case of its name: LDAP's names have none (RFC 4512 2.5).
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.attributes.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.flat_map(|(_, values)| values).map(Vec::as_slice)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // One of them may be the password.
        self.attributes.iter_mut().flat_map(|(_, values)| values).for_each(Zeroize::zeroize);
    }
}

fn constructed(tag: StructureTag) -> Result<Vec<StructureTag>, Malformed> {
    tag.expect_constructed().ok_or(Malformed)
}

fn primitive(tag: StructureTag) -> Result<Vec<u8>, Malformed> {
    match tag.payload {
        PL::P(bytes) => Ok(bytes),
        PL::C(_) => Err(Malformed),
    }
}

fn text(tag: Option<StructureTag>) -> Result<String, Malformed> {
    String::from_utf8(primitive(tag.ok_or(Malformed)?)?).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Entry;

    fn read(bytes: &[u8]) -> Result<Option<Entry>, super::Malformed> {
        Entry::read(ldap3::asn1::parse_tag(bytes).unwrap().1)
    }

    #[test]
    fn an_entry_is_read_with_text_and_bytes_alike() {
        let bytes = b"\x64\x25\x04\x05uid=a\x30\x1c\
            \x30\x0c\x04\x04mAil\x31\x04\x04\x02a@\x30\x0c\x04\x02id\x31\x06\x04\x01\xff\x04\x01\x00";
        let entry = read(bytes).unwrap().unwrap();
        assert_eq!(entry.dn, "uid=a");
        assert_eq!(entry.first("MAIL"), Some(b"a@".as_slice()));
        assert_eq!(entry.first("id"), Some(b"\xff".as_slice()));
        assert_eq!(entry.first("uid"), None);
        assert!(read(b"\x73\x02\x04\x00").unwrap().is_none(), "a reference is no entry");
        assert!(read(b"\x64\x00").is_err());
        assert!(read(b"\x64\x05\x04\x01\xff\x30\x00").is_err(), "a DN is text");
    }

    proptest! {
        #[test]
        fn any_element_is_judged_without_a_panic(inside: Vec<u8>) {
            prop_assume!(inside.len() < 128);
            let bytes = [&[0x64, u8::try_from(inside.len()).unwrap()], inside.as_slice()].concat();
            if let Ok((_, tag)) = ldap3::asn1::parse_tag(&bytes) {
                let _ = Entry::read(tag);
            }
        }
    }
}
