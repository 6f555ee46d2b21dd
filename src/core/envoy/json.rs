//! Reads a part of a page member by member, whatever its members' types are.
//!
//! Owns the tolerance: a member that is `null`, unknown or of another type loses that member alone.
//! Strings are bounded and fit for a log line. What a member means is its page's; must never hold
//! more than what a caller keeps.
//!
//! Why not `derive(Deserialize)`: there one wrong type loses the whole part, and each type is
//! compiled anew. This reader is compiled once, for all pages.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::core::envoy::unread::Unread;
use crate::core::text::replaced;

/// As much of a string as is kept; Kubernetes' longest names have 253 characters.
const MOST_TEXT: usize = 300;

/// A value that has not been read yet. Whoever drops it passes it over.
pub struct Json<'a>(&'a mut dyn Slot);

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json")
    }
}

/// Reads `part`, which is one JSON value.
///
/// # Errors
/// [`Unread::Garbage`]: no JSON, or nested deeper than 127 levels. What was read before stays read.
pub fn read(part: &[u8], each: &mut dyn FnMut(Json<'_>)) -> Result<(), Unread> {
    let mut json = serde_json::Deserializer::from_slice(part);
    let read = Value(each).deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| Unread::Garbage(error.to_string()))
}

impl Json<'_> {
    /// Hands over each member of an object: its name and its value. Says whether it is an object.
    pub fn fields(self, each: &mut dyn FnMut(&str, Json<'_>)) -> bool {
        let mut fields = Fields { each, is_object: false };
        self.0.read(&mut fields);
        fields.is_object
    }

    /// Hands over each element of an array.
    pub fn items(self, each: &mut dyn FnMut(Json<'_>)) {
        self.0.read(&mut Items(each));
    }

    /// Hands over the first element of an array, where there is one.
    pub fn first(self, then: &mut dyn FnMut(Json<'_>)) {
        let mut is_first = true;
        self.items(&mut |item| {
            if std::mem::take(&mut is_first) {
                then(item);
            }
        });
    }

    /// Hands over the value at the end of this way through objects, where there is one.
    pub fn at(self, way: &[&str], then: &mut dyn FnMut(Json<'_>)) {
        match way {
            [] => then(self),
            [first, rest @ ..] => {
                self.fields(&mut |name, value| {
                    if name == *first {
                        value.at(rest, then);
                    }
                });
            }
        }
    }

    /// A string, cut to 300 characters, without control characters.
    #[must_use]
    pub fn text(self) -> Option<String> {
        let mut text = None;
        self.with_text(&mut |whole| text = Some(clean(whole)));
        text
    }

    /// Hands over a string as it stands; nothing of it may be told without being cleaned.
    pub fn with_text(self, then: &mut dyn FnMut(&str)) {
        self.0.read(&mut Scalar(&mut |scalar| {
            if let JsonScalar::Text(text) = scalar {
                then(text);
            }
        }));
    }

    /// A number of at least 0; also as text, as protobuf's JSON writes those of 64 bits.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        let mut number = None;
        self.0.read(&mut Scalar(&mut |scalar| {
            number = match scalar {
                JsonScalar::Number(found) => Some(found),
                JsonScalar::Text(text) => text.parse().ok(),
                JsonScalar::Float(_) | JsonScalar::Flag(_) => None,
            };
        }));
        number
    }

    /// A number with a fraction, in millionths; also as text where it has none.
    #[must_use]
    pub fn millionths(self) -> Option<u64> {
        let mut millionths = None;
        self.0.read(&mut Scalar(&mut |scalar| {
            millionths = match scalar {
                JsonScalar::Number(found) => found.checked_mul(MILLION),
                JsonScalar::Float(found) => of_float(found),
                JsonScalar::Text(text) => {
                    text.parse::<u64>().ok().and_then(|found| found.checked_mul(MILLION))
                }
                JsonScalar::Flag(_) => None,
            };
        }));
        millionths
    }

    /// `true`; anything else is `false`, which protobuf's JSON leaves out.
    #[must_use]
    pub fn flag(self) -> bool {
        let mut flag = false;
        self.0.read(&mut Scalar(&mut |scalar| flag = matches!(scalar, JsonScalar::Flag(true))));
        flag
    }
}

const MILLION: u64 = 1_000_000;

/// In millionths; what is below zero is zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` keeps within the bounds, and these are percentages"
)]
fn of_float(found: f64) -> Option<u64> {
    found.is_finite().then_some((found * 1e6) as u64)
}

/// Foreign text fit for a line of ours: no control characters, at most 300 characters.
#[must_use]
pub fn clean(text: &str) -> String {
    let text = text.trim();
    let end = text.char_indices().nth(MOST_TEXT).map_or(text.len(), |(at, _)| at);
    replaced(&text[..end], ' ')
}

/// A place where a value can be read once. Hides the deserializer's type, so that callers are
/// compiled once.
trait Slot {
    fn read(&mut self, visit: &mut dyn Visit);
}

struct Once<'de, D: Deserializer<'de>> {
    unread: Option<D>,
    read: Result<(), D::Error>,
}

impl<'de, D: Deserializer<'de>> Slot for Once<'de, D> {
    fn read(&mut self, visit: &mut dyn Visit) {
        if let Some(deserializer) = self.unread.take() {
            self.read = deserializer.deserialize_any(Walk(visit));
        }
    }
}

/// A scalar as it was found.
#[derive(Clone, Copy)]
enum JsonScalar<'a> {
    Text(&'a str),
    Number(u64),
    Float(f64),
    Flag(bool),
}

/// Who takes in one value; what it has no use for is passed over.
trait Visit {
    fn object(&mut self) {}
    fn field(&mut self, _name: &str, _value: Json<'_>) {}
    fn item(&mut self, _value: Json<'_>) {}
    fn scalar(&mut self, _scalar: JsonScalar<'_>) {}
}

struct Fields<'a> {
    each: &'a mut dyn FnMut(&str, Json<'_>),
    is_object: bool,
}

impl Visit for Fields<'_> {
    fn object(&mut self) {
        self.is_object = true;
    }

    fn field(&mut self, name: &str, value: Json<'_>) {
        (self.each)(name, value);
    }
}

struct Items<'a>(&'a mut dyn FnMut(Json<'_>));

impl Visit for Items<'_> {
    fn item(&mut self, value: Json<'_>) {
        (self.0)(value);
    }
}

struct Scalar<'a>(&'a mut dyn FnMut(JsonScalar<'_>));

impl Visit for Scalar<'_> {
    fn scalar(&mut self, scalar: JsonScalar<'_>) {
        (self.0)(scalar);
    }
}

/// Reads a value by handing it over unread.
struct Value<'a>(&'a mut dyn FnMut(Json<'_>));

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mut once = Once { unread: Some(deserializer), read: Ok(()) };
        (self.0)(Json(&mut once));
        match once.unread {
            Some(deserializer) => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            None => once.read,
        }
    }
}

struct Walk<'a>(&'a mut dyn Visit);

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.0.scalar(JsonScalar::Flag(flag));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.0.scalar(JsonScalar::Number(number));
        Ok(())
    }

    fn visit_i64<E>(self, _negative: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.0.scalar(JsonScalar::Float(number));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.scalar(JsonScalar::Text(text));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.object();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Value(&mut |value| self.0.field(&name, value)))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while sequence.next_element_seed(Value(&mut |value| self.0.item(value)))?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
