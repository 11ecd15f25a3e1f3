//! Numbers in texts, without a sign. `parse` of each type is a function of its own; here one serves all of them, 900 bytes
//! less.

/// Returns a decimal number. `None` if the text is something else, or the number exceeds its type.
pub fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    T::try_from(radix(text, 10)?).ok()
}

/// Returns a number with digits of another radix. `None` if the text is something else, or the number exceeds its type.
pub fn number_of_radix<T: TryFrom<u64>>(text: &str, base: u32) -> Option<T> {
    T::try_from(radix(text, base)?).ok()
}

#[inline(never)]
fn radix(text: &str, base: u32) -> Option<u64> {
    let mut number = (!text.is_empty()).then_some(0_u64)?;
    for byte in text.bytes() {
        let digit = char::from(byte).to_digit(base)?;
        number = number.checked_mul(base.into())?.checked_add(digit.into())?;
    }
    Some(number)
}
