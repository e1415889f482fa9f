use super::changes::Letter;
use super::view::View;
use super::{Refusal, Request};

impl View<'_> {
    /// What `pgq_core::dead_letter::add` asks: the last word about an event counts.
    pub(super) fn add_letters(&mut self, request: &Request) -> Result<i32, Refusal> {
        let Request::AddLetters { batch, events, reasons, errors, attempts } = request else {
            panic!("{request:?} adds no letters");
        };
        let of_batch = self.events_of(*batch)?;
        let (key, _) = self.with_batch(*batch).expect("it was found before");
        let consumer = self.main_of(&key).map_or_else(|| key.1.clone(), |main| main.1);
        let mut added = Vec::new();
        for (place, id) in events.iter().enumerate() {
            let Some(event) = of_batch.iter().find(|event| event.id == *id) else {
                return Refusal::raise("event not found");
            };
            added.retain(|letter: &Letter| letter.event != *id);
            added.push(Letter {
                queue: key.0.clone(),
                consumer: consumer.clone(),
                event: *id,
                reason: reasons[place].clone().unwrap_or_default(),
                error: errors[place].clone(),
                attempts: match attempts[place] {
                    0 => event.retry.unwrap_or(0) + 1,
                    counted => counted,
                },
            });
        }
        let count = i32::try_from(added.len()).expect("few");
        self.changes.letters.extend(added);
        Ok(count)
    }
}
