//! The program as users start it: files, streams and exit codes.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_polyarray-bench")).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn compare_writes_tables_and_files_that_read_back() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (json, html) = (folder.join("rows.json"), folder.join("page.html"));
    let (json, html) = (json.to_str().expect("UTF-8"), html.to_str().expect("UTF-8"));
    let ran = run(&[
        "compare",
        "--quick",
        "--ops",
        "add,matmul",
        "--sizes",
        "64",
        "--devices",
        "scalar,auto",
        "--threads",
        "1",
        "--json",
        json,
        "--html",
        html,
    ]);
    let (out, err) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("add f32") && out.contains("matmul f64") && out.contains("auto chose"), "{out}");
    assert!(err.is_empty(), "no progress bar where stderr is no terminal: {err}");
    let rows = polyarray_bench::json::read(&std::fs::read_to_string(json).expect("--json was written")).expect("rows");
    assert_eq!(rows.len(), 8, "two cases, two dtypes, two devices");
    assert!(rows.iter().all(|r| r.threads == 1 && r.checked));
    assert!(std::fs::read_to_string(html).expect("--html was written").ends_with("</html>\n"));
    let again =
        run(&["--quick", "--ops", "add", "--sizes", "64", "--dtypes", "f32", "--devices", "scalar", "--with", json]);
    assert!(text(&again.stdout).contains("with:scalar"), "{}", text(&again.stdout));
}

#[test]
fn what_cannot_be_done_ends_with_a_reason() {
    for (arguments, why) in [
        (&["--ops", "nothing"][..], "the cases are add mul"),
        (&["--devices", "toaster"], "toaster"),
        (&["--with", "/nonexistent/rows.json"], "/nonexistent/rows.json"),
        (&["--json", "/nonexistent/rows.json"], "/nonexistent/rows.json"),
        (&["--blas-peer", "/nonexistent/libx.so"], "libx.so"),
        (&["--sizes", "0"], "no elements"),
        (&["--nothing"], "--nothing"),
    ] {
        let ran = run(arguments);
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}");
        assert!(text(&ran.stderr).contains(why), "{arguments:?}: {}", text(&ran.stderr));
    }
}

#[test]
fn devices_are_listed() {
    let ran = run(&["devices"]);
    assert!(ran.status.success() && text(&ran.stdout).starts_with("scalar "), "{}", text(&ran.stdout));
}
