//! Good once the address is confirmed, and every mail says what its link does.

use super::{CHOSEN, connect, how_many, mails, plan, register, state};
use crate::harness::{
    keycloak::Realm,
    mailbox::Mail,
    set_up_pages::{BegunLogin, confirm_address},
    stack::Stack,
    system::System,
};

async fn is_good_once_the_address_is_confirmed(system: System) -> Mail {
    let user = register(&system, CHOSEN).await;
    assert_eq!(system.until_complete(&user).await.mail_attempts, 1);
    assert_eq!(state(&system, &user).await, "set");

    let answer = system.log_in(&user.username, CHOSEN).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("account_setup_required")));
    let mail = mails(&user, 1).await.remove(0);
    confirm_address(mail.link()).await;
    system.log_in(&user.username, CHOSEN).await.token("access_token");
    system.stop().await;
    mail
}

#[tokio::test]
async fn a_chosen_password_is_good_once_the_address_is_confirmed_by_our_own_mail() {
    let plan = plan(Realm::shared().access(), 1).by_smtp(Stack::get().smtp_port);
    let mut redis = connect(1).await;
    let mail = is_good_once_the_address_is_confirmed(plan.start().await).await;
    assert_eq!(mail.subject, "Confirm your address for Usher");
    assert!(mail.text.contains("Whoever registered has chosen a password"), "{}", mail.text);
    assert_eq!(how_many(&mut redis).await, 0, "it is erased");
}

#[tokio::test]
async fn a_chosen_password_is_good_once_the_address_is_confirmed_by_keycloaks_mail() {
    let realm = Realm::create(Stack::get().smtp_port).await;
    let mail = is_good_once_the_address_is_confirmed(plan(realm.access(), 0).start().await).await;
    tells_what_the_link_does(&mail);
}

/// Keycloak's own words, which also go to whoever chose no password.
fn tells_what_the_link_does(mail: &Mail) {
    for text in [&mail.text, &mail.html] {
        for words in ["Somebody has registered for Usher", "may have chosen a password", "do not follow the link"] {
            assert!(text.contains(words), "{words} is missing in {text}");
        }
        assert!(text.contains("/login-actions/action-token?key="), "{text}");
    }
}

/// Whoever knows the password can have Keycloak write to the owner of the address, however our own mails leave.
#[tokio::test]
async fn the_mail_of_a_login_before_the_address_is_confirmed_tells_what_the_link_does() {
    let realm = Realm::create(Stack::get().smtp_port).await;
    let system = plan(realm.access(), 0).by_smtp(Stack::get().smtp_port).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    let login = BegunLogin::with(realm.access(), &user.username, CHOSEN).await;
    assert!(login.page.contains("You need to verify your email address"), "{}", login.page);
    tells_what_the_link_does(&mails(&user, 2).await[1]);
    system.stop().await;
}
