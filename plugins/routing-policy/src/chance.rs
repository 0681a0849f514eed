//! Chance that repeats: the same key always draws the same lot, so that whoever sticks to something needs no memory.
//!
//! The keys are the gateway's own (digests of sessions, names of principals, ids of requests). Nobody can choose one to
//! his liking, and so the hash need not be a secret one.

/// Draws a number from 0 to 1 for a key, about something. Different subjects draw independently.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a double has")]
pub fn draw<'a>(key: &str, subject: impl IntoIterator<Item = &'a str>) -> f64 {
    let mut hash = fnv(FNV_BASIS, key);
    for part in subject {
        hash = fnv(hash, part);
    }
    (mix(hash) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns how much a candidate with a weight is wanted by its lot: among several, each is wanted most in proportion to
/// its weight, and when one comes or goes, nobody else's first choice changes (weighted rendezvous hashing).
pub fn want(lot: f64, weight: u32) -> f64 {
    // The logarithm of a number below 1 is negative; a lot of 0 would be wanted endlessly.
    f64::from(weight) / -libm::log(lot.max(f64::MIN_POSITIVE))
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a. The byte 255, which is in no UTF-8 text, ends each part, so that "ab", "c" is not "a", "bc".
fn fnv(hash: u64, part: &str) -> u64 {
    let bytes = part.bytes().chain([u8::MAX]);
    bytes.fold(hash, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    })
}

/// Spreads the bits, which FNV leaves close together for keys that differ at their end (the finalizer of `MurmurHash3`).
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_draws_the_same_lot() {
        assert_eq!(draw("a", ["x", "y"]).to_bits(), draw("a", ["x", "y"]).to_bits());
        assert_ne!(draw("a", ["x", "y"]).to_bits(), draw("a", ["xy", ""]).to_bits());
        assert_ne!(draw("a", ["x"]).to_bits(), draw("b", ["x"]).to_bits());
    }

    #[test]
    fn lots_are_spread_evenly() {
        let mut tenths = [0_u32; 10];
        for key in 0..10_000 {
            let lot = draw(&key.to_string(), ["canary"]);
            assert!((0.0..1.0).contains(&lot));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 0 to 9"
            )]
            let tenth = (lot * 10.0) as usize;
            tenths[tenth] += 1;
        }
        assert!(
            tenths.iter().all(|count| (900..1100).contains(count)),
            "{tenths:?}"
        );
    }

    #[test]
    fn weight_wants_in_proportion_and_nothing_is_wanted_last() {
        let wins = (0..10_000).filter(|key| {
            let key = key.to_string();
            want(draw(&key, ["a"]), 3) > want(draw(&key, ["b"]), 1)
        });
        assert!((7300..7700).contains(&wins.count()));
        assert!(want(0.0, 1).is_finite() && want(0.999, 0) == 0.0);
    }
}
