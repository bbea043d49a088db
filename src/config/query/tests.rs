//! Names in queries become placeholders, wherever the database would see them.

use proptest::prelude::*;

use super::{
    Dialect::{self, MySql, Postgres, Sqlite},
    Expansion,
    Parameter::{self, Domain, Local, User},
    Query,
};

const ALLOWED: &[Parameter] = &[User, Local, Domain];

fn parse(text: &str, dialect: Dialect) -> Result<(String, Vec<Parameter>), String> {
    let parsed = Query::parse(text, dialect, ALLOWED);
    parsed.map(|query| (query.sql, query.parameters)).map_err(|wrong| wrong.what)
}

#[test]
fn claims_are_bound_by_the_names_that_they_have_where_there_are_any() {
    let text = "SELECT :claim_name, :user, :claim_a_b, :claim_name";
    let allowed = [User, Parameter::Claim(0)];
    let claim = Parameter::Claim;
    for (dialect, sql, parameters) in [
        (MySql, "SELECT ?, ?, ?, ?", vec![claim(0), User, claim(1), claim(0)]),
        (Postgres, "SELECT $1, $2, $3, $1", vec![claim(0), User, claim(1)]),
        (Sqlite, "SELECT ?1, ?2, ?3, ?1", vec![claim(0), User, claim(1)]),
    ] {
        let query = Query::parse(text, dialect, &allowed).unwrap();
        assert_eq!((query.sql(), query.parameters()), (sql, &*parameters));
        assert_eq!(query.claims(), ["name", "a_b"]);
    }
    assert!(parse(text, Sqlite).is_err(), "where there is no token");
    let many: Vec<String> = (0..300).map(|number| format!(":claim_{number}")).collect();
    assert!(Query::parse(&many.join(","), Sqlite, &allowed).is_err());
}

#[test]
fn names_become_placeholders_and_everything_else_stays() {
    let table: &[(Dialect, &str, &str, &[Parameter])] = &[
        (MySql, "SELECT 1 WHERE a = :user", "SELECT 1 WHERE a = ?", &[User]),
        (MySql, "SELECT :user,:local,:user", "SELECT ?,?,?", &[User, Local, User]),
        (Postgres, "SELECT :user,:local,:user", "SELECT $1,$2,$1", &[User, Local]),
        (Sqlite, "SELECT :user,:local,:user", "SELECT ?1,?2,?1", &[User, Local]),
        (Postgres, "SELECT :user::bigint, a::text", "SELECT $1::bigint, a::text", &[User]),
        (Postgres, "SELECT a[1:2], '{}'::jsonb ? 'x'", "SELECT a[1:2], '{}'::jsonb ? 'x'", &[]),
        (MySql, "SELECT @a := :user", "SELECT @a := ?", &[User]),
        // What is quoted.
        (MySql, r"SELECT ':x', 'it''s :x', '\':x', :user", r"SELECT ':x', 'it''s :x', '\':x', ?", &[User]),
        (MySql, r#"SELECT ":x \" :x", `:x``:x`"#, r#"SELECT ":x \" :x", `:x``:x`"#, &[]),
        (Postgres, r"SELECT '\', :user", r"SELECT '\', $1", &[User]),
        (Postgres, r"SELECT E'\':x', :user", r"SELECT E'\':x', $1", &[User]),
        (Postgres, r#"SELECT ":x", "a"":x""#, r#"SELECT ":x", "a"":x""#, &[]),
        (Postgres, "SELECT $$ :x ' $$, $q$ $$ :x $q$", "SELECT $$ :x ' $$, $q$ $$ :x $q$", &[]),
        (Postgres, "SELECT a$b, :user", "SELECT a$b, $1", &[User]),
        (Sqlite, "SELECT [:x], `:x`, \":x\"", "SELECT [:x], `:x`, \":x\"", &[]),
        // Comments.
        (MySql, "SELECT 1 -- :x ' \n, :user", "SELECT 1 -- :x ' \n, ?", &[User]),
        (MySql, "SELECT 1--:user", "SELECT 1--?", &[User]),
        (MySql, "SELECT 1 # :x\n, :user", "SELECT 1 # :x\n, ?", &[User]),
        (MySql, "SELECT /* :x ' */ 1 /*! + :user */", "SELECT /* :x ' */ 1 /*! + ? */", &[User]),
        (Postgres, "SELECT /* a /* :x */ :x */ :user", "SELECT /* a /* :x */ :x */ $1", &[User]),
        (Sqlite, "SELECT 1--:x\n, :user", "SELECT 1--:x\n, ?1", &[User]),
        (Postgres, "SELECT 5 # 3, :user", "SELECT 5 # 3, $1", &[User]),
        // The end.
        (MySql, "SELECT :user;\n -- done\n", "SELECT ?\n -- done\n", &[User]),
        (Sqlite, "SELECT 'ä', :user", "SELECT 'ä', ?1", &[User]),
    ];
    for (dialect, text, sql, parameters) in table {
        let (got, names) = parse(text, *dialect).unwrap_or_else(|what| panic!("{text}: {what}"));
        assert_eq!((got.as_str(), names.as_slice()), (*sql, *parameters), "{text}");
    }
}

#[test]
fn what_has_no_value_or_no_end_is_wrong() {
    let table: &[(&[Dialect], &str, &str)] = &[
        (&[MySql, Postgres, Sqlite], "SELECT :usr", "names \"usr\""),
        (&[MySql, Postgres, Sqlite], "SELECT :User", "names \"User\""),
        (&[MySql, Postgres, Sqlite], "SELECT :after", "names \"after\""),
        (&[MySql, Sqlite], "SELECT ?", "without a name"),
        (&[Postgres], "SELECT $1", "without a name"),
        (&[Sqlite], "SELECT ?1", "without a name"),
        (&[Sqlite], "SELECT @user", "without a name"),
        (&[Sqlite], "SELECT $user", "without a name"),
        (&[MySql, Postgres, Sqlite], "SELECT 'a", "quote that does not end"),
        (&[MySql], r"SELECT 'a\'", "quote that does not end"),
        (&[MySql, Sqlite], "SELECT `a", "quote that does not end"),
        (&[Postgres], "SELECT $a$ x $$", "quote that does not end"),
        (&[MySql, Postgres, Sqlite], "SELECT /* a", "comment that does not end"),
        (&[MySql, Postgres, Sqlite], "SELECT 1; DROP TABLE users", "more than one statement"),
        (&[MySql, Postgres, Sqlite], "SELECT 1; :user", "more than one statement"),
        (&[MySql, Postgres, Sqlite], "SELECT 1;;", "more than one statement"),
        (&[MySql, Postgres, Sqlite], "  \n", "is empty"),
        (&[MySql, Postgres, Sqlite], ";", "is empty"),
        (&[MySql, Postgres, Sqlite], "SELECT '\0'\0", "NUL"),
    ];
    for (dialects, text, what) in table {
        for dialect in *dialects {
            let wrong = parse(text, *dialect).unwrap_err();
            assert!(wrong.contains(what), "{dialect:?} {text:?}: {wrong}");
        }
    }
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(MySql), Just(Postgres), Just(Sqlite)]
}

proptest! {
    #[test]
    fn any_text_is_read_to_its_end(text in "\\PC{0,60}", dialect in dialects()) {
        let _ = parse(&text, dialect);
    }

    #[test]
    fn a_quoted_value_never_becomes_a_name(inside in "[^\\\\]{0,30}", dialect in dialects()) {
        let quoted = inside.replace('\'', "''").replace('\0', "");
        let text = format!("SELECT '{quoted}' WHERE a = :user");
        let (sql, names) = parse(&text, dialect).unwrap();
        prop_assert_eq!(names, [User]);
        let expected = format!("SELECT '{quoted}' WHERE a = ");
        prop_assert!(sql.starts_with(&expected));
    }

    #[test]
    fn text_without_signs_stays_as_it_is(text in "[a-zA-Z0-9_ =<>(),.*+\n]{1,40}", dialect in dialects()) {
        prop_assume!(!text.trim().is_empty());
        prop_assert_eq!(parse(&text, dialect).unwrap(), (text.clone(), Vec::new()));
    }
}

#[test]
fn expansions_of_postfix_are_bound_with_the_text_around_them() {
    let allowed = [Parameter::Key, Parameter::Expansion(0)];
    let at = Parameter::Expansion;
    type Case<'a> = (Dialect, &'a str, &'a str, &'a [Parameter], &'a [&'a str]);
    let table: &[Case<'_>] = &[
        (
            MySql,
            "SELECT goto FROM alias WHERE address='%s'",
            "SELECT goto FROM alias WHERE address=?",
            &[at(0)],
            &["%s"],
        ),
        (
            MySql,
            "SELECT 1 WHERE a = CONCAT('%u', '@', b) AND c = '%d' AND d = \"%u\"",
            "SELECT 1 WHERE a = CONCAT(?, '@', b) AND c = ? AND d = ?",
            &[at(0), at(1), at(0)],
            &["%u", "%d"],
        ),
        (
            Postgres,
            "SELECT 1 WHERE a = '%s' OR b = '%s'",
            "SELECT 1 WHERE a = $1 OR b = $1",
            &[at(0)],
            &["%s"],
        ),
        (Sqlite, "SELECT '@%d', :key", "SELECT ?1, ?2", &[at(0), Parameter::Key], &["@%d"]),
        (MySql, "SELECT 1 WHERE a LIKE '%%%d'", "SELECT 1 WHERE a LIKE ?", &[at(0)], &["%%%d"]),
        (MySql, r"SELECT 'it''s\n %s \'x\''", "SELECT ?", &[at(0)], &["it's\n %s 'x'"]),
        (Postgres, r"SELECT 'it''s\n %s'", "SELECT $1", &[at(0)], &["it's\\n %s"]),
        (Sqlite, "SELECT 7 %% 2, %s, `a%s`, [b%d]", "SELECT 7 % 2, ?1, `a%s`, [b%d]", &[at(0)], &["%s"]),
        (MySql, "SELECT 1 -- '%s\n", "SELECT 1 -- '%s\n", &[], &[]),
    ];
    for (dialect, text, sql, parameters, expansions) in table {
        let query = Query::parse(text, *dialect, &allowed).unwrap();
        assert_eq!((query.sql(), query.parameters()), (*sql, *parameters), "{text}");
        let expected: Vec<_> = expansions.iter().map(|text| Expansion::of(text)).collect();
        assert_eq!(query.expansions(), expected, "{text}");
    }
    for (dialect, text) in [
        (MySql, "SELECT a % b"),
        (MySql, "SELECT '100%'"),
        (MySql, "SELECT _utf8'%s'"),
        (Postgres, "SELECT E'%s'"),
        (Postgres, "SELECT \"%s\""),
    ] {
        assert!(Query::parse(text, dialect, &allowed).is_err(), "{text}");
    }
    let (sql, parameters) = parse("SELECT '%s', 100 % 7", MySql).unwrap();
    assert_eq!((sql.as_str(), parameters.len()), ("SELECT '%s', 100 % 7", 0), "where nobody expands");
}
