use super::{AppMismatch, AppPassword, Barred, Refusal, Target, TempFail};
use crate::app_password::Scope;
use crate::{mechanism::Breach, oidc::TokenFault, username::InvalidName};

fn phone() -> AppPassword {
    AppPassword {
        id: "4k7mx2".into(),
        label: "Old \"phone\"\n".into(),
        own: None,
        scope: Scope::everything(),
    }
}

#[test]
fn nothing_that_somebody_else_wrote_is_part_of_a_reason() {
    let refusal = Refusal::AppPasswordBarred(Box::new(phone()), Barred::Expired);
    assert_eq!(refusal.to_string(), "the app password has expired");
    for (service, shown) in
        [("smtp", "smtp"), ("smtp outcome=verified", "this service"), ("", "this service")]
    {
        let refusal = Refusal::PrimaryPasswordDenied { service: service.into() };
        let expected = format!("the main password may not be used for {shown}: use an app password");
        assert_eq!(refusal.to_string(), expected);
    }
}

#[test]
fn unknown_user_and_wrong_password_read_the_same() {
    let alike = [
        Refusal::PasswordMismatch,
        Refusal::AppPasswordMismatch(AppMismatch::Mistyped),
        Refusal::AppPasswordMismatch(AppMismatch::Unknown),
        Refusal::AppPasswordMismatch(AppMismatch::OfAnother),
        Refusal::AppPasswordBarred(Box::new(phone()), Barred::Service),
        Refusal::PrimaryPasswordDenied { service: "smtp".into() },
        Refusal::UserUnknown,
        Refusal::InvalidName(InvalidName::Character),
        Refusal::MechanismBreach(Breach::Grammar),
        Refusal::NoCredentials("CRAM-MD5"),
        Refusal::NetworkDenied,
        Refusal::ServiceDenied,
        Refusal::TokenOfAnother,
        Refusal::TokenRejected(TokenFault::Expired),
        Refusal::UserAmbiguous,
        Refusal::UserLocked,
    ];
    for refusal in alike {
        assert_eq!(refusal.fail_code(), None, "{refusal}");
        assert!(!refusal.is_temporary());
    }
}

#[test]
fn only_an_outage_is_temporary() {
    assert!(Refusal::TempFail(TempFail::Deadline).is_temporary());
    assert!(Refusal::TempFail(TempFail::NoProvider).is_temporary());
    assert!(!Refusal::UserDisabled.is_temporary());
    assert!(!Refusal::TargetRefused(Target::Unknown).is_temporary());
}
