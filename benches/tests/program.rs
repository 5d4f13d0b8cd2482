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
fn output_fits_a_terminal_and_ends_with_a_summary() {
    let ran = run(&["--ops", "add,matmul,small", "--dtypes", "f32", "--threads", "1"]);
    let (out, err) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{out}{err}");
    for line in out.lines() {
        assert!(line.chars().count() <= polyarray_bench::table::WIDTH, "{line}");
    }
    for part in ["small work f32, ns", "add f32", "Summary", "crossovers", "auto chose the fastest", "best rates on"] {
        assert!(out.contains(part), "{part} is missing: {out}");
    }
}

#[test]
fn what_cannot_be_done_ends_with_one_line_and_code_2() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).expect("the folder of tests is writable");
        path.to_str().expect("UTF-8").to_string()
    };
    let (cut, binary) = (file("cut.json", b"{\"op\":"), file("binary.json", &[0xff, 0xfe, 0]));
    let folder = folder.to_str().expect("UTF-8");
    for (arguments, why) in [
        (&["--ops", "nothing"][..], "the cases are add mul"),
        (&["--ops", ""], "unknown case"),
        (&["--ops", "small", "--sizes", "10"], "sizes of its own"),
        (&["--ops", "exp", "--dtypes", "i32"], "i32"),
        (&["--ops", "add", "--sizes", "10,2x3"], "2x3"),
        (&["--ops", "add", "--sizes", "9000000000000000"], "GB"),
        (&["--dtypes", "float"], "float"),
        (&["--dtypes", "bool"], "bool"),
        (&["--devices", "toaster"], "toaster"),
        (&["--threads", "0"], "--threads"),
        (&["--threads", "60000"], "60000"),
        (&["--threads", "-1"], "-1"),
        (&["--with", "/nonexistent/rows.json"], "/nonexistent/rows.json"),
        (&["--with", &cut], "line 1"),
        (&["--with", &binary], "binary.json"),
        (&["--with", folder], folder),
        (&["--json", folder], folder),
        (&["--json", "/nonexistent/rows.json"], "/nonexistent/rows.json"),
        (&["--json", &cut, "--with", &cut], "same file"),
        (&["--json", &cut, "--html", &cut], "same file"),
        (&["--json", &cut, "--ops", "nothing"], "the cases are add mul"),
        (&["--blas-peer", "/nonexistent/libx.so"], "libx.so"),
        (&["--blas-peer", &cut], "cut.json"),
        (&["--sizes", "0"], "no elements"),
        (&["--sizes", "many"], "many"),
        (&["--quick", "--full"], "--full"),
        (&["--nothing"], "--nothing"),
        (&["nothing"], "nothing"),
        (&["accuracy", "--ops", "nothing"], "nothing"),
        (&["accuracy", "--read", &cut], "line 1"),
        (&["sweep", "--ops", "nothing"], "nothing"),
        (&["sweep", "--dtypes", "float"], "float"),
        (&["sweep", "--ops", "sin", "--dtypes", "bool"], "no case has one of these operations"),
        (&["sweep", "--sizes", "7"], "--sizes"),
        (&["sweep", "--ops", "add", "--device", "toaster"], "toaster"),
        (&["sweep", "--threads", "0"], "--threads"),
        (&["sweep", "--ops", "add", "--threads", "60000"], "60000"),
        (&["sweep", "--sample", "0"], "--sample"),
        (&["sweep", "--seed", "-1"], "-1"),
        (&["sweep", "--fail-above", "0.5"], "--fail-above 0.5"),
        (&["sweep", "--fail-above", "NaN"], "--fail-above NaN"),
        (&["sweep", "--list", "--with", &cut], "--list"),
        (&["sweep", "--with", &cut], "line 1"),
        (&["sweep", "--with", &binary], "binary.json"),
        (&["sweep", "--with", "/nonexistent/rows.json"], "/nonexistent/rows.json"),
        (&["sweep", "--with", &cut, "--json", &cut], "same file"),
        (&["sweep", "--ops", "add", "--json", "/nonexistent/rows.json"], "/nonexistent/rows.json"),
        (&["programs", "--threads", "0"], "--threads"),
        (&["programs", "--threads", "60000"], "60000"),
        (&["programs", "--budget", "0"], "--budget"),
        (&["programs", "--with", &cut], "line 1"),
        (&["programs", "--with", &binary], "binary.json"),
        (&["programs", "--with", "/nonexistent/rows.json"], "/nonexistent/rows.json"),
        (&["programs", "--with", &cut, "--json", &cut], "same file"),
        (&["programs", "--json", folder], folder),
        (&["programs", "--quick"], "--quick"),
        (&["programs", "add"], "add"),
    ] {
        let ran = run(arguments);
        let err = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.contains(why) && err.starts_with("error: "), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
    }
    let ran = Command::new(env!("CARGO_BIN_EXE_polyarray-bench")).env("POLYARRAY_THREADS", "many").output();
    let ran = ran.expect("the program starts");
    assert_eq!((ran.status.code(), text(&ran.stderr).lines().count()), (Some(2), 1), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("POLYARRAY_THREADS"), "{}", text(&ran.stderr));
    assert_eq!(std::fs::read(&cut).expect("the file exists"), b"{\"op\":", "no file was replaced");
}

#[test]
fn devices_are_listed() {
    let ran = run(&["devices"]);
    assert!(ran.status.success() && text(&ran.stdout).starts_with("scalar "), "{}", text(&ran.stdout));
}
