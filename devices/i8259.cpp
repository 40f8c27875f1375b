#include "devices/i8259.h"

#include "sim/error.h"

namespace hvsim::devices {
namespace {

// Intel 8259A data sheet (231468-003): initialization and operation command words.
constexpr std::uint8_t kIcw1 = 0x10, kOcw3 = 0x08;  // of the even port
constexpr std::uint8_t kIcw1Level = 0x08, kIcw1Single = 0x02, kIcw1WantsIcw4 = 0x01;
constexpr std::uint8_t kIcw4FullyNested = 0x10, kIcw4AutoEoi = 0x02;
constexpr std::uint8_t kOcw3SetsSpecialMask = 0x40, kOcw3SpecialMask = 0x20, kOcw3Poll = 0x04,
                       kOcw3SetsRead = 0x02, kOcw3ReadIsr = 0x01;
constexpr std::uint8_t kOcw2Rotate = 0x80, kOcw2Specific = 0x40, kOcw2Eoi = 0x20;
constexpr std::uint8_t kPollInterrupt = 0x80;
constexpr unsigned kCascade = 2;
// Inputs that a PC's edge/level registers can make level triggered: not 0, 1, 2, 8 and 13.
constexpr std::array<std::uint8_t, 2> kLevelWritable{0xf8, 0xde};

constexpr std::uint8_t bit(unsigned input) {
    return static_cast<std::uint8_t>(1u << input);
}

/// 0 is the highest priority, 8 that of nothing.
unsigned best_priority(std::uint8_t inputs, unsigned highest) {
    unsigned priority = 0;
    while (priority < 8 && !(inputs & bit((highest + priority) & 7))) ++priority;
    return priority;
}

}  // namespace

I8259Pair::I8259Pair(std::uint8_t master_base, std::uint8_t slave_base, InterruptLine* output)
    : output_(output) {
    master().vector_base = master_base;
    slave().vector_base = slave_base;
}

/// The input that interrupts now: of higher priority than all that are in service.
std::optional<unsigned> I8259Pair::pending(unsigned chip) const noexcept {
    const I8259State& state = chips_[chip];
    const auto waiting = static_cast<std::uint8_t>(state.irr & ~state.imr);
    const unsigned priority = best_priority(waiting, state.highest);
    if (priority == 8) return std::nullopt;
    std::uint8_t serving = state.isr;
    if (state.special_mask) serving = static_cast<std::uint8_t>(serving & ~state.imr);
    // The slave may interrupt its own service in the special fully nested mode.
    if (state.fully_nested && chip == 0) serving = static_cast<std::uint8_t>(serving & ~bit(2));
    if (priority >= best_priority(serving, state.highest)) return std::nullopt;
    return (state.highest + priority) & 7;
}

void I8259Pair::take(I8259State& chip, unsigned input) noexcept {
    if (!chip.auto_eoi)
        chip.isr |= bit(input);
    else if (chip.rotate_on_auto_eoi)
        chip.highest = static_cast<std::uint8_t>((input + 1) & 7);
    if (!chip.all_level && !(chip.level_mask & bit(input)))
        chip.irr = static_cast<std::uint8_t>(chip.irr & ~bit(input));
}

void I8259Pair::update(sim::Time now) {
    I8259State& first = master();
    const bool cascade = pending(1).has_value();
    first.irr =
        static_cast<std::uint8_t>(cascade ? first.irr | bit(kCascade) : first.irr & ~bit(kCascade));
    const bool level = pending(0).has_value();
    if (level == output_level_) return;
    output_level_ = level;
    if (output_ != nullptr) output_->set(level, now);
}

// DEVIATION: an edge stays latched when its line falls before the acknowledge; the data sheet has
// such a request end as a spurious one.
void I8259Pair::set_input(unsigned input, bool level, sim::Time now) {
    SIM_ASSERT(input < kInputs);
    if (input == kCascade) return;
    I8259State& chip = chips_[input / 8];
    const std::uint8_t mask = bit(input % 8);
    const bool was = (chip.lines & mask) != 0;
    chip.lines = static_cast<std::uint8_t>(level ? chip.lines | mask : chip.lines & ~mask);
    const bool level_triggered = chip.all_level || (chip.level_mask & mask) != 0;
    if (level && (level_triggered || !was)) chip.irr |= mask;
    if (!level && level_triggered) chip.irr = static_cast<std::uint8_t>(chip.irr & ~mask);
    update(now);
}

std::uint8_t I8259Pair::acknowledge(sim::Time now) {
    constexpr unsigned kSpurious = 7;
    const unsigned input = pending(0).value_or(kSpurious);
    std::uint8_t vector = static_cast<std::uint8_t>(master().vector_base + input);
    if (pending(0)) take(master(), input);
    if (input == kCascade) {
        const auto behind = pending(1);
        vector = static_cast<std::uint8_t>(slave().vector_base + behind.value_or(kSpurious));
        if (behind) take(slave(), *behind);
    }
    update(now);
    return vector;
}

std::uint8_t I8259Pair::read_command(unsigned chip, sim::Time now) {
    I8259State& state = chips_[chip];
    if (!state.poll) return state.read_isr ? state.isr : state.irr;
    state.poll = false;
    const auto input = pending(chip);
    if (!input) return 0;
    take(state, *input);
    update(now);
    return static_cast<std::uint8_t>(kPollInterrupt | *input);
}

void I8259Pair::write_ocw2(I8259State& chip, std::uint8_t value) {
    const bool rotate = (value & kOcw2Rotate) != 0;
    const bool specific = (value & kOcw2Specific) != 0;
    unsigned input = value & 7;
    if (!(value & kOcw2Eoi)) {
        if (!specific)
            chip.rotate_on_auto_eoi = rotate;
        else if (rotate)
            chip.highest = static_cast<std::uint8_t>((input + 1) & 7);
        return;
    }
    if (!specific) {
        const unsigned priority = best_priority(chip.isr, chip.highest);
        if (priority == 8) return;
        input = (chip.highest + priority) & 7;
    }
    chip.isr = static_cast<std::uint8_t>(chip.isr & ~bit(input));
    if (rotate) chip.highest = static_cast<std::uint8_t>((input + 1) & 7);
}

void I8259Pair::write_command(unsigned chip, std::uint8_t value) {
    I8259State& state = chips_[chip];
    if (value & kIcw1) {
        const I8259State before = state;
        state = {};
        state.lines = before.lines;
        state.level_mask = before.level_mask;
        state.vector_base = before.vector_base;
        state.all_level = (value & kIcw1Level) != 0;
        state.single = (value & kIcw1Single) != 0;
        state.wants_icw4 = (value & kIcw1WantsIcw4) != 0;
        state.expected_icw = 2;
        // The edge sense is reset: a line that is high already must fall first.
        const std::uint8_t level_inputs = state.all_level ? 0xff : state.level_mask;
        state.irr = static_cast<std::uint8_t>(state.lines & level_inputs);
    } else if (value & kOcw3) {
        if (value & kOcw3Poll) state.poll = true;
        if (value & kOcw3SetsRead) state.read_isr = (value & kOcw3ReadIsr) != 0;
        if (value & kOcw3SetsSpecialMask) state.special_mask = (value & kOcw3SpecialMask) != 0;
    } else {
        write_ocw2(state, value);
    }
}

void I8259Pair::write_data(unsigned chip, std::uint8_t value) {
    I8259State& state = chips_[chip];
    const std::uint8_t icw4 = state.wants_icw4 ? 4 : 0;
    switch (state.expected_icw) {
        case 2:
            state.vector_base = value & 0xf8;
            state.expected_icw = state.single ? icw4 : 3;
            return;
        case 3:  // the wiring is fixed
            state.expected_icw = icw4;
            return;
        case 4:
            state.fully_nested = (value & kIcw4FullyNested) != 0;
            state.auto_eoi = (value & kIcw4AutoEoi) != 0;
            state.expected_icw = 0;
            return;
        default:
            state.imr = value;
    }
}

std::uint64_t I8259Pair::read_register(std::uint64_t offset, unsigned, sim::Time& now) {
    if (offset >= kPorts) return 0;
    if (offset >= kEdgeLevel) return chips_[offset - kEdgeLevel].level_mask;
    const auto chip = static_cast<unsigned>(offset / 2);
    return offset % 2 == 0 ? read_command(chip, now) : chips_[chip].imr;
}

void I8259Pair::write_register(std::uint64_t offset, unsigned, std::uint64_t value, sim::Time now) {
    if (offset >= kPorts) return;
    const auto byte = static_cast<std::uint8_t>(value);
    if (offset >= kEdgeLevel) {
        const auto chip = static_cast<std::size_t>(offset - kEdgeLevel);
        chips_[chip].level_mask = byte & kLevelWritable[chip];
    } else if (offset % 2 == 0) {
        write_command(static_cast<unsigned>(offset / 2), byte);
    } else {
        write_data(static_cast<unsigned>(offset / 2), byte);
    }
    update(now);
}

}  // namespace hvsim::devices
