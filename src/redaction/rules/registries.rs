//! Tokens of package registries, image registries and artifact stores.

use super::{Rule, near, token};
use crate::redaction::text::alnum;

pub(super) const RULES: &[Rule] = &[
    token(
        "npm_token",
        "NPM_TOKEN",
        &["npm_"],
        r"npm_[0-9A-Za-z]{36}",
        concat!("npm", "_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6"),
        "npm_config_registry",
    ),
    token(
        "pypi_token",
        "PYPI_TOKEN",
        &["pypi-AgE"],
        r"pypi-AgE[0-9A-Za-z_-]{20}",
        concat!("pypi-Ag", "EIcHlwaS5vcmcCJDU2Nzg5MGFiLWNkZWYtMTIzNA"),
        "pypi-AgEnt",
    ),
    token(
        "rubygems_token",
        "RUBYGEMS_TOKEN",
        &["rubygems_"],
        r"rubygems_[0-9a-f]{48}",
        concat!("rubygems", "_730e263f6ac27a65a39059862d2a64ae121ca4ec6801f72b"),
        "rubygems_version",
    )
    .run(alnum),
    token(
        "crates_io_token",
        "CRATES_IO_TOKEN",
        &["cio"],
        r"cio[A-Za-z0-9]{32}",
        concat!("ci", "oB8x27lBEPF3txTeWp1uYvFwreoHzhMXk"),
        "cioppino",
    )
    .run(alnum),
    token(
        "nuget_key",
        "NUGET_KEY",
        &["oy2"],
        r"oy2[a-z0-9]{43}",
        concat!("oy", "2hys135qeitu7pjuk73rvby0fg21xqvf0q6pe1ma1m74"),
        "oy2",
    )
    .run(alnum),
    token(
        "clojars_token",
        "CLOJARS_TOKEN",
        &["CLOJARS_"],
        r"CLOJARS_[0-9a-f]{60}",
        concat!("CLOJARS", "_80b712a8f2495dfd10a4d9e4760a1604bc84983e6b960fdf504e172b3f5a"),
        "CLOJARS_USERNAME",
    )
    .run(alnum),
    token(
        "docker_hub_token",
        "DOCKER_TOKEN",
        &["dckr_pat_"],
        r"dckr_pat_[A-Za-z0-9_-]{27}",
        concat!("dckr_pat", "_Gj8rP_v6jNvWCU37tqNfNkijAHt"),
        "dckr_pat_x",
    ),
    token(
        "docker_org_token",
        "DOCKER_TOKEN",
        &["dckr_oat_"],
        r"dckr_oat_[A-Za-z0-9_-]{32}",
        concat!("dckr_oat", "_nVotvRrH_IMpqrhLnCGF18c4DvMb5doU"),
        "dckr_oat_x",
    ),
    token(
        "artifactory_key",
        "ARTIFACTORY_TOKEN",
        &["AKCp"],
        r"AKCp[A-Za-z0-9]{69}",
        concat!("AKC", "p1iy95PWMxcXLNONVoS98je2eUETecQJGZxwcUSOsml6nSW5aScdxCPjMFSwA2LwjBwg6D"),
        "AKCp",
    )
    .run(alnum),
    token(
        "artifactory_reference_token",
        "ARTIFACTORY_TOKEN",
        &["cmVmd"],
        r"cmVmd[A-Za-z0-9]{59}",
        concat!("cmVm", "dGtuXdza8wLjQyUXG06THMAN0EP5UFs9nrj7Jx2UEq2bVTym6TkSj3ltm6J4"),
        "cmVmd",
    )
    .run(alnum),
    near(
        "jfrog_token",
        "ARTIFACTORY_TOKEN",
        &["jfrog", "artifactory", "bintray"],
        &[64, 73],
        alnum,
        r"[A-Za-z0-9]{64}(?:[A-Za-z0-9]{9})?",
        concat!("jfrog rt c ", "2KmTruU51hc86CY4RnRJdUnc9gFivbHJL5EHXe3NgyOLXsCAjCAbVC9WVwUyHIrXzsFgYtVHW"),
        "artifactory sha256 fd51637256fbe29d9631df51864b879269f29416d7a341c83ec6a9fb5815632f",
    ),
    token(
        "jsr_token",
        "JSR_TOKEN",
        &["jsrd_", "jsrp_"],
        r"jsr[dp]_[A-Za-z0-9]{32}",
        concat!("jsrp", "_EIXZNogJYOGsAzbxAIr3Ky2h5uhYf1ysgtit8N7VeliCX12m"),
        "jsrp_x",
    ),
    token(
        "anaconda_token",
        "ANACONDA_TOKEN",
        &["ac-"],
        r"ac-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        concat!("ac", "-ad1e7d70-829c-7c76-4193-c098375d9027"),
        "ac-dc",
    ),
];
