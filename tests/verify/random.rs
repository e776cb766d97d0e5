//! Random damage, repaired in random parts and orders, ends in agreement.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Damage {
    Remove(usize),
    Cut(usize),
    Rewrite(usize, u64),
    New(usize),
    Move,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (0..ARRAYS.len()).prop_map(Damage::Remove),
        (0..ARRAYS.len()).prop_map(Damage::Cut),
        (0..ARRAYS.len(), 1..1000_u64).prop_map(|(array, time)| Damage::Rewrite(array, time)),
        (0..5_usize).prop_map(Damage::New),
        Just(Damage::Move),
    ]
}

fn inflict(world: &World, damage: &Damage) {
    let array = |index: usize| world.path("a").join(ARRAYS[index]);
    match damage {
        Damage::Remove(index) => drop(fs::remove_dir_all(array(*index))),
        Damage::Cut(index) => drop(fs::remove_file(array(*index).join("0.0"))),
        Damage::Rewrite(index, time) => {
            if let Ok(file) = fs::File::open(array(*index).join(".zarray")) {
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(*time);
                file.set_modified(time).unwrap();
            }
        }
        Damage::New(index) => {
            write(&world.path(&format!("a/validation.zarr/{}/crop/prediction", index + 1)));
        }
        Damage::Move => {
            let (one, other) = (world.path("b"), world.path("moved"));
            match one.exists() {
                true => fs::rename(one, other).unwrap(),
                false => fs::rename(other, one).unwrap(),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn repairs_in_any_order_end_in_agreement(
        rounds in prop::collection::vec(
            (prop::collection::vec(damage(), 0..5), any::<u64>(), any::<u32>()),
            1..4,
        )
    ) {
        let world = World::new();
        let everything = VerifyOptions::new().measure(true);
        for (damages, order, part) in rounds {
            damages.iter().for_each(|damage| inflict(&world, damage));
            let mut findings = world.verify_with(&Filter::default(), everything).findings;
            findings.sort_by_key(|found| {
                let length = u64::try_from(found.path.len()).unwrap();
                order.rotate_left(u32::try_from(found.class as u64).unwrap()) ^ length
            });
            let parts = (0..).zip(&findings).filter(|(index, _)| part >> (index % 32) & 1 == 1);
            let parts: Vec<VerifyFinding> = parts.map(|(_, found)| found.clone()).collect();
            world.repair(&parts);
            world.repair(&parts);
        }
        let findings = world.verify_with(&Filter::default(), everything).findings;
        let report = world.repair(&findings);
        prop_assert_eq!(report.left, vec![]);
        let findings = world.verify_with(&Filter::default(), everything).findings;
        prop_assert_eq!(findings, vec![]);
        world.assert_agrees();
    }
}
