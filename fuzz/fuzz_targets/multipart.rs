//! Forms: however their bytes are cut, they say the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rampart::uploads::{Event, Flaw, FormBounds, Multipart, Stop};

const BOUNDS: FormBounds = FormBounds { parts: 8, fields: 6, files: 4, field: 64, file: 128 };

fn read(pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<Vec<String>, Flaw> {
    let mut form = Multipart::new("x", BOUNDS);
    let mut told: Vec<String> = Vec::new();
    for piece in pieces {
        let said = form.feed(piece.as_ref(), |event| {
            match event {
                Event::Field(name, text) => told.push(format!("field {name:?} {text:?}")),
                Event::File(head) => told.push(format!("file {head:?} ")),
                Event::Data(data) => {
                    let file = told.last_mut().expect("a file");
                    assert!(file.starts_with("file"));
                    file.extend(data.iter().map(|byte| format!("{byte:02x}")));
                }
                Event::FileEnd => told.push("end".to_owned()),
            }
            Ok::<(), ()>(())
        });
        if let Err(Stop::Flaw(flaw)) = said {
            return Err(flaw);
        }
    }
    form.finish().map(|()| told)
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, body)) = data.split_first() else { return };
    let at_once = read(std::iter::once(body));
    assert_eq!(read(body.chunks(1)), at_once);
    assert_eq!(read(body.chunks(usize::from(size).max(1))), at_once);
    if let Ok(told) = at_once {
        assert!(told.len() <= 6 + 2 * 4);
    }
});
