use std::process::Command;
use std::time::Duration;

use pgq_testkit::{Process, until};

/// Whether there is a process of this number that has not ended.
pub(crate) fn runs(pid: u32) -> bool {
    let ps = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(ps.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}

#[test]
fn stands_still_while_paused() {
    let mut counter = Process::rerun("process::child_counts", &[("FIRST", "7")]).unwrap();
    assert_eq!(counter.next_line().as_deref(), Some("7"));
    counter.pause().unwrap();
    assert!(counter.is_running());
    let pid = counter.pid();
    let reading = std::thread::spawn(move || {
        // What it wrote before the pause may be more than one line.
        while counter.next_line().unwrap() != "100" {}
        counter
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(!reading.is_finished());
    let resumed = Command::new("kill").args(["-s", "CONT", &pid.to_string()]).status().unwrap();
    assert!(resumed.success());
    let mut counter = reading.join().unwrap();
    counter.pause().unwrap();
    counter.resume().unwrap();
    assert!(counter.is_running());
    assert!(counter.wait().unwrap().success());
    assert!(!counter.is_running());
}

#[test]
fn child_counts() {
    if Process::is_rerun() {
        let first: u32 = std::env::var("FIRST").unwrap().parse().unwrap();
        for number in first..=100 {
            Process::tell(&number.to_string());
            std::thread::sleep(Duration::from_millis(5));
        }
        crate::rerun::wait_for_parent();
    }
}

#[test]
fn ends_as_it_is_told() {
    let sleep = || {
        let mut command = Command::new("sleep");
        command.arg("600");
        Process::spawn(command).unwrap()
    };
    let mut process = sleep();
    process.terminate().unwrap();
    assert!(!process.wait().unwrap().success());
    assert_eq!(process.next_line(), None);
    let mut process = sleep();
    process.pause().unwrap();
    process.kill().unwrap();
    assert!(!process.is_running());
    let process = sleep();
    let pid = process.pid();
    process.pause().unwrap();
    assert!(runs(pid));
    drop(process);
    assert!(!runs(pid));
}

#[test]
fn is_gone_after_sigkill() {
    let mut child = Process::rerun("process::child_has_a_child", &[]).unwrap();
    let pid = child.next_line().unwrap().parse().unwrap();
    assert!(runs(pid));
    child.kill().unwrap();
    until("its child is gone", || !runs(pid));
}

#[test]
fn child_has_a_child() {
    if Process::is_rerun() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let process = Process::spawn(command).unwrap();
        process.pause().unwrap();
        Process::tell(&process.pid().to_string());
        crate::rerun::wait_for_parent();
    }
}

#[test]
fn tells_what_cannot_be_run() {
    let error = Process::spawn(Command::new("/nonsense")).unwrap_err();
    assert!(error.to_string().contains("/nonsense"), "{error}");
}
