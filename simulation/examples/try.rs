//! Scratch.
use jangbu_simulation::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "story" {
        let o = run(args[2].parse().unwrap(), true);
        for l in &o.story {
            println!("{l}");
        }
        println!(
            "{:?} orders {} events {} calls {} simms {} trace {:x}",
            o.broken, o.orders, o.events, o.calls, o.simulated_ms, o.trace
        );
        return;
    }
    let (from, n, threads) =
        (args[1].parse().unwrap(), args[2].parse().unwrap(), args.get(3).map_or(2, |t| t.parse().unwrap()));
    let t = std::time::Instant::now();
    let s = Fleet { from, seeds: n, threads }.sail(|s| s.failures.len() < 25);
    for f in Fault::ALL {
        println!("{:>8} {}", s.fault(*f), f.name());
    }
    println!();
    for f in Point::ALL {
        println!("{:>8} {}", s.point(*f), f.name());
    }
    for f in &s.failures {
        println!("seed {} {}: {}", f.seed, f.invariant, &f.detail.chars().take(400).collect::<String>());
    }
    println!(
        "{} runs {} failed, {:.1}/s, orders {} events {} hours {}",
        s.runs,
        s.failures.len(),
        s.runs as f64 / t.elapsed().as_secs_f64(),
        s.orders,
        s.events,
        s.simulated_ms / 3600000
    );
}
