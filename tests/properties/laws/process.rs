//! What the kernel says of a process. Its name is whatever the process has chosen.

use meshim::core::process_stat::ProcessStat;

use super::is_one_line;

/// A line of `/proc/PID/stat`: its name cannot break a line of ours, and hides no field.
pub(crate) fn is_a_stat(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(stat) = ProcessStat::of(&text) else {
        assert!(!text.contains('(') || !text.contains(')') || text.find('(') > text.rfind(')'));
        return;
    };
    assert!(is_one_line(&stat.name()));
    let (started, is_stopped) = (stat.started(), stat.is_stopped());
    // Whoever names itself like a whole line is read as before.
    let behind_the_name = text.rfind(')').expect("a name has an end");
    let forged = format!("1 (1 (x) T 1{}", &text[behind_the_name..]);
    let again = ProcessStat::of(&forged).expect("it has a name");
    assert_eq!((again.started(), again.is_stopped()), (started, is_stopped));
}
