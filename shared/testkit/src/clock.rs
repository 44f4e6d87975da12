//! A clock that is wrong, for one process.

use std::{fs, path::PathBuf, process::Command, sync::LazyLock};

/// Stands before the C library's own function; only the clock on the wall is shifted, so that
/// timers go on as they should. Programs that ask the kernel themselves, as those in Go do, do not
/// see it.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);
static long shift;

__attribute__((constructor)) static void begin(void) {
    const char *seconds = getenv("SHIFT_CLOCK_SECONDS");
    shift = seconds ? atol(seconds) : 0;
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real) begin();
    int result = real(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += shift;
    return result;
}
"#;

/// Kept to the end of the process.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = tempfile::Builder::new().prefix("natter-clock-").tempdir().expect("a temporary folder").keep();
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, SOURCE).expect("the source of a library");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).output();
    let compiled = compiled.expect("a C compiler, as building Natter takes one");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library
});

/// The environment of a process whose clock is so many seconds ahead.
///
/// # Panics
/// When there is no C compiler.
pub fn shifted_clock(seconds_ahead: i64) -> [(String, String); 2] {
    [
        ("LD_PRELOAD".to_owned(), LIBRARY.display().to_string()),
        ("SHIFT_CLOCK_SECONDS".to_owned(), seconds_ahead.to_string()),
    ]
}
