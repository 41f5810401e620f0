//! Makes a value coarser, so that it is shared by more people.
//!
//! Each rule reads strictly: what is not a date, a number, a postcode, an address or a coordinate as the rule says is refused,
//! and never passed on as it was. What becomes of it then, the plan says.

mod dates;
mod numbers;
mod places;

pub use dates::{Ages, DateFormat, Dates, Unit, named_date};
pub use numbers::Numbers;
pub use places::{Grid, Networks, Postcodes, ZIP3_SMALL_2000};
