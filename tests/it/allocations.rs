//! How often the engine asks for memory in one review, and how much: each time costs as much as reading
//! some hundred bytes of the body.

use std::hint::black_box;

use quiescent::policy::PolicySet;

#[path = "../../benches/setting.rs"]
mod setting;

/// By body: when no policy matches, and when one does and the pod gets its hooks.
const MOST: [(&str, [u64; 2]); 3] = [("small", [4, 14]), ("typical", [5, 16]), ("big", [7, 33])];

#[test]
fn a_review_asks_for_memory_no_more_often_than_it_may() {
    let sets = [
        setting::strangers("label", 100),
        setting::with_library("label", 100),
    ];
    let found = MOST.map(|(body, _)| (body, sets.each_ref().map(|set| allocations(body, set))));
    println!("allocations of a review, passed and patched: {found:?}");
    for ((body, most), (_, found)) in MOST.into_iter().zip(found) {
        let within = most.iter().zip(found).all(|(most, found)| found <= *most);
        assert!(
            within,
            "{body}: {found:?}, and at most {most:?} are allowed"
        );
    }
}

/// Of a process that has reviewed before.
fn allocations(body: &str, policies: &PolicySet) -> u64 {
    let body = setting::body(body);
    let mut count = 0;
    for _ in 0..2 {
        let review = || drop(black_box(setting::review(body, policies)));
        count = allocation_counter::measure(review).count_total;
    }
    count
}

/// A list may have many short items, and a pod many lists.
#[test]
fn what_containers_without_hooks_mount_is_not_kept() {
    let mut pod: serde_json::Value = serde_json::from_slice(setting::body("small")).unwrap();
    let containers = pod["request"]["object"]["spec"]["containers"].as_array_mut();
    let mount = serde_json::json!({});
    let other = serde_json::json!({ "name": "other", "volumeMounts": vec![mount; 9_999] });
    containers.unwrap().extend(vec![other; 250]);
    let body = pod.to_string().into_bytes();
    assert!(body.len() < 8 << 20);

    let policies = setting::with_library("label", 1);
    let review = || drop(black_box(setting::review(&body, &policies)));
    let most = allocation_counter::measure(review).bytes_max;
    assert!(most < 4 << 20, "{most} bytes");
}
