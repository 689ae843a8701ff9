//! The fixtures: what must compile runs, what must not says why in its `.stderr`.
//!
//! `TRYBUILD=overwrite cargo test -p tidings-ui-tests` writes the `.stderr` files anew; read them before you commit them.

#[test]
fn fixtures() {
    let cases = trybuild::TestCases::new();
    // One set: programs that run make the others be built rather than checked, which is what evaluates generic constants.
    cases.pass("pass/*/*.rs");
    cases.compile_fail("fail/*/*.rs");
}
