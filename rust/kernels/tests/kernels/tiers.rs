//! Which tier is used. The tests of the others run on all that there are: under an emulator, this one says which that must be.

use nibble_kernels::Kernels;

#[test]
fn the_tier_that_the_environment_names_is_there_and_is_used() {
    let highest = Kernels::available().last().unwrap().tier();
    let wanted = Kernels::requested().unwrap_or_else(|| highest.name().to_owned());
    assert_eq!(Kernels::best().tier().name(), wanted);
}
