//! The WGSL files of the device `gpu`.
