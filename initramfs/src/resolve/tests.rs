use super::*;

const TEXT: &str = "hilum 1\n[system]\nuser web\n[workload a]   # user web\nuser web:staff # who\nroot /images/a overlay\n\
    exec /bin/user web\nuser 5\n[workload b]\nroot '/images/b c'\n\tuser  'web'\n\n[workload c]\nuser web x\nuser \"web\n";

#[test]
fn user_lines_are_found_with_their_root() {
    let lines = user_lines(TEXT);
    let found: Vec<_> = lines.iter().map(|user| (user.line, user.workload, user.root, user.user)).collect();
    let expected = [
        (5, "a", "/images/a", "web:staff"),
        (8, "a", "/images/a", "5"),
        (11, "b", "/images/b c", "web"),
        (15, "c", "", "web"),
    ];
    assert_eq!(found, expected);
    assert_eq!(lines.iter().map(UserLine::is_resolved).collect::<Vec<_>>(), [false, true, false, false]);
}

#[test]
fn only_names_are_replaced_by_numbers() {
    let new = resolved(TEXT, &mut |user| Ok(format!("{}:{}", user.line, user.line))).expect("good");
    let expected = TEXT.replace("user web:staff #", "user 5:5 #").replace("\tuser  'web'", "\tuser  '11:11'");
    assert_eq!(new, expected.replace("user \"web\n", "user \"15:15\n"));
    assert!(resolved(TEXT, &mut |_| anyhow::bail!("no")).is_err());
    let plain = "hilum 1\n[workload a]\nroot /r\nuser 5:6\r\n";
    assert_eq!(resolved(plain, &mut |_| Ok(String::new())).expect("good"), plain.replace("5:6\r", ""));
}
