//! Prints the engines that tests can run on here, one to a line.

use pgq_testkit::{Error, Server};

fn main() -> Result<(), Error> {
    println!("portable");
    if Server::shared()?.has_extension()? {
        println!("extension");
    }
    Ok(())
}
