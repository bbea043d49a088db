//! Search filters (RFC 4515) of the configuration. ldap3's parser reads them now, so that no search has to fail later.

use ldap3::asn1::{ASNTag as _, PL, StructureTag};

use super::holes;
use crate::config::{
    expansion::{Expansion, Piece},
    problem::Wrong,
    template::{Part, Template},
};

/// Stands in a hole while the filter is checked. Its first letter is no hexadecimal digit, so that it completes no
/// escape.
const HOLE: &str = "gatepost0hole";

/// A filter with holes for a user. Each must be within an assertion value.
pub(super) fn filter(text: &str) -> Result<Template, Wrong> {
    let template = Template::parse(text)?;
    holes(&template)?;
    let pieces = template.parts().iter().map(|part| match part {
        Part::Literal(literal) => Some(literal.as_str()),
        Part::Name(_) | Part::NameOr(..) => None,
    });
    if !has_values_in_holes(pieces)? {
        let what = "has a name in braces where no value stands";
        return Err(Wrong::new(what, "write it behind the sign of a comparison, as in (mail={user})"));
    }
    Ok(template)
}

/// A filter with expansions of Postfix's, of which there is one at least. Each must be within an assertion value.
pub(in crate::config::directory) fn expansion(text: &str) -> Result<Expansion, Wrong> {
    let expansion = Expansion::parse(text)?;
    let pieces = expansion.pieces().iter().map(|piece| match piece {
        Piece::Text(literal) => Some(literal.as_str()),
        Piece::Of(_) => None,
    });
    if !has_values_in_holes(pieces)? {
        let what = "has an expansion where no value stands";
        return Err(Wrong::new(what, "write it behind the sign of a comparison, as in (mail=%s)"));
    }
    if !expansion.is_dynamic() {
        let what = "finds the same for every key";
        return Err(Wrong::new(what, "write %s or %u where the key belongs, as in (mail=%s)"));
    }
    Ok(expansion)
}

/// Whether each hole of a filter, which is `None`, is within an assertion value.
fn has_values_in_holes<'t>(pieces: impl Iterator<Item = Option<&'t str>>) -> Result<bool, Wrong> {
    let (mut filled, mut holes) = (String::new(), 0);
    for piece in pieces {
        match piece {
            Some(literal) if literal.contains(HOLE) => return Err(unreadable()),
            Some(literal) => filled.push_str(literal),
            None => {
                filled.push_str(HOLE);
                holes += 1;
            }
        }
    }
    Ok(values(&read(&filled)?) == holes)
}

/// A filter without holes.
pub(super) fn plain(text: &str) -> Result<String, Wrong> {
    read(text)?;
    Ok(text.to_owned())
}

fn read(text: &str) -> Result<StructureTag, Wrong> {
    // ldap3 takes one without them, which could not become a part of another.
    if !(text.starts_with('(') && text.ends_with(')')) {
        return Err(Wrong::new("is no filter", "write it in parentheses, as in \"(mail={user})\""));
    }
    ldap3::parse_filter(text).map(|tag| tag.into_structure()).map_err(|()| unreadable())
}

fn unreadable() -> Wrong {
    let remedy =
        "write a filter as in RFC 4515, such as \"(&(objectClass=person)(|(mail={user})(uid={local})))\"";
    Wrong::new("is a filter that cannot be read", remedy)
}

/// How many holes there are within assertion values.
fn values(filter: &StructureTag) -> usize {
    let parts = match &filter.payload {
        PL::C(parts) => parts.as_slice(),
        PL::P(_) => &[],
    };
    let holes = |part: &StructureTag| match &part.payload {
        PL::P(bytes) => String::from_utf8_lossy(bytes).matches(HOLE).count(),
        PL::C(_) => 0,
    };
    match (filter.id, parts) {
        // and, or, not
        (0..=2, parts) => parts.iter().map(values).sum(),
        // equality, greater or equal, less or equal, approximate: attribute, value
        (3 | 5 | 6 | 8, [_, value]) => holes(value),
        // substrings: attribute, pieces
        (4, [_, pieces]) => match &pieces.payload {
            PL::C(pieces) => pieces.iter().map(holes).sum(),
            PL::P(_) => 0,
        },
        // extensible: rule [1], attribute [2], value [3]
        (9, parts) => parts.iter().filter(|part| part.id == 3).map(holes).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{expansion, filter, plain};

    #[test]
    fn a_hole_is_where_a_value_is() {
        for text in [
            "(mail={user})",
            "(&(objectClass=person)(|(mail={user})(uid={local}))(!(o={domain})))",
            "(proxyAddresses=smtp:{user})",
            "(mail={local}@*)",
            "(memberOf:1.2.840.113556.1.4.1941:=cn={local},dc=x)",
            "(uid~={local})",
            "(cn=\\2a{user}\\28)",
        ] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "mail={user}",
            "(mail={user}",
            "(mail={user}))",
            "(mail={user})(uid={local})",
            "({user}=x)",
            "({local}:=x)",
            "(x:{user}:=y)",
            "({user}=*)",
            "({user})",
            "(mail=\\{user})",
            "(mail=\\2{user})",
            "(mail={mail})",
            "(mail=alice)",
            "(o={domain})",
            "(mail={user}**)",
            "(mail={user}gatepost0hole)",
        ] {
            assert!(filter(text).is_err(), "{text}");
        }
        for text in ["(mail=%s)", "(&(mail=%u@%d)(o=%2))", "(cn=100%%%s)", "(proxyAddresses=smtp:%s)"] {
            assert!(expansion(text).is_ok(), "{text}");
        }
        for text in ["(%s=x)", "(mail=x)", "(mail=%x)", "mail=%s", "(mail=\\%s)", "(mail=gatepost0hole%s)"] {
            assert!(expansion(text).is_err(), "{text}");
        }
        assert!(plain("(objectClass=person)").is_ok() && plain("objectClass=person").is_err());
    }
}
