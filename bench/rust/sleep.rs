//! A static Rust program that sleeps: what the standard library costs at all.

fn main() {
    loop {
        std::thread::park();
    }
}
