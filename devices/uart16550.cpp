#include "devices/uart16550.h"

#include <algorithm>

#include "devices/spec/ns16550.h"

namespace hvsim::devices {

namespace regs = spec::ns16550;

void Uart16550::Fifo::push(std::uint8_t byte) noexcept {
    bytes[(head + count) % kFifoDepth] = byte;
    ++count;
}

std::uint8_t Uart16550::Fifo::pop() noexcept {
    const std::uint8_t byte = bytes[head];
    head = static_cast<std::uint8_t>((head + 1) % kFifoDepth);
    --count;
    return byte;
}

Uart16550::Uart16550(const UartConfig& config, CharacterSink* sink, InterruptLine* interrupt,
                     sim::Recorder* recorder)
    : config_(config), sink_(sink), interrupt_(interrupt), recorder_(recorder) {}

bool Uart16550::dlab() const noexcept {
    return regs::Lcr::DLAB::test(lcr_);
}
bool Uart16550::loopback() const noexcept {
    return regs::Mcr::LOOP::test(mcr_);
}

// The other end is always there: CTS, DSR and DCD asserted. In loopback the four outputs appear at
// the inputs (8.7).
std::uint8_t Uart16550::modem_lines() const noexcept {
    using regs::Mcr;
    using regs::Msr;
    if (!loopback())
        return static_cast<std::uint8_t>(Msr::CTS::kMask | Msr::DSR::kMask | Msr::DCD::kMask);
    std::uint8_t lines = 0;
    lines = Msr::CTS::set(lines, Mcr::RTS::get(mcr_));
    lines = Msr::DSR::set(lines, Mcr::DTR::get(mcr_));
    lines = Msr::RI::set(lines, Mcr::OUT1::get(mcr_));
    return Msr::DCD::set(lines, Mcr::OUT2::get(mcr_));
}

std::uint8_t Uart16550::line_status() const noexcept {
    std::uint8_t status = 0;
    status = regs::Lsr::DR::set(status, receiver_.count != 0);
    status = regs::Lsr::OE::set(status, overrun_);
    status = regs::Lsr::THRE::set(status, transmitter_.count == 0);
    return regs::Lsr::TEMT::set(status, transmitter_.count == 0 && shift_end_ == sim::kNever);
}

// Data sheet table IV: the highest enabled source.
std::uint8_t Uart16550::pending_interrupt() const noexcept {
    using regs::Ier;
    using regs::Iir;
    if (Ier::ELSI::test(ier_) && overrun_) return Iir::kLineStatus;
    if (Ier::ERBFI::test(ier_)) {
        const unsigned wanted = fifo_enabled_ ? trigger_level_ : 1;
        if (receiver_.count >= wanted) return Iir::kReceived;
        if (timeout_pending_) return Iir::kTimeout;
    }
    if (Ier::ETBEI::test(ier_) && transmitter_empty_pending_) return Iir::kTransmitterEmpty;
    if (Ier::EDSSI::test(ier_) && modem_deltas_ != 0) return Iir::kModemStatus;
    return Iir::kNone;
}

// On a PC the interrupt output passes a gate that the OUT2 pin opens; in loopback the pin is
// inactive (8.7).
void Uart16550::update_interrupt(sim::Time now) {
    const bool gate = regs::Mcr::OUT2::test(mcr_) && !loopback();
    const bool level = gate && pending_interrupt() != regs::Iir::kNone;
    if (level == line_level_) return;
    line_level_ = level;
    if (interrupt_ != nullptr) interrupt_->set(level, now);
}

std::uint8_t Uart16550::read(std::uint64_t offset, sim::Time now) {
    settle(now);
    std::uint8_t value = 0;
    switch (offset % regs::kRegisters) {
        case regs::kRbrThr:
            value = dlab() ? dll_ : read_received(now);
            break;
        case regs::kIer:
            value = dlab() ? dlm_ : ier_;
            break;
        case regs::kIirFcr:
            value = read_interrupt_identification();
            break;
        case regs::kLcr:
            value = lcr_;
            break;
        case regs::kMcr:
            value = mcr_;
            break;
        case regs::kLsr:
            value = line_status();
            overrun_ = false;
            break;
        case regs::kMsr:
            value = static_cast<std::uint8_t>(modem_lines() | modem_deltas_);
            modem_deltas_ = 0;
            break;
        default:
            value = scr_;
            break;
    }
    update_interrupt(now);
    return value;
}

void Uart16550::write(std::uint64_t offset, std::uint8_t value, sim::Time now) {
    settle(now);
    switch (offset % regs::kRegisters) {
        case regs::kRbrThr:
            if (dlab())
                dll_ = value;
            else
                write_transmit(value, now);
            break;
        case regs::kIer:
            if (dlab()) {
                dlm_ = value;
                break;
            }
            // Enabling the source while the register is empty raises it again (8.6).
            if (regs::Ier::ETBEI::test(value) && !regs::Ier::ETBEI::test(ier_))
                transmitter_empty_pending_ = transmitter_.count == 0;
            ier_ = value & regs::Ier::kImplemented;
            break;
        case regs::kIirFcr:
            write_fifo_control(value);
            break;
        case regs::kLcr:
            lcr_ = value;
            break;
        case regs::kMcr:
            write_modem_control(value);
            break;
        case regs::kScr:
            scr_ = value;
            break;
        default:
            break;  // LSR and MSR are for factory tests when written: ignored
    }
    resume_input(now);
    update_interrupt(now);
}

std::uint64_t Uart16550::read_register(std::uint64_t offset, unsigned, sim::Time& now) {
    return read(offset, now);
}

void Uart16550::write_register(std::uint64_t offset, unsigned, std::uint64_t value, sim::Time now) {
    write(offset, static_cast<std::uint8_t>(value), now);
}

std::uint8_t Uart16550::read_received(sim::Time now) {
    timeout_pending_ = false;
    if (receiver_.count == 0) return 0;
    const std::uint8_t byte = receiver_.pop();
    timeout_at_ = receiver_.count == 0 ? sim::kNever : now + 4 * config_.receive_time;
    resume_input(now);
    return byte;
}

std::uint8_t Uart16550::read_interrupt_identification() {
    const std::uint8_t source = pending_interrupt();
    if (source == regs::Iir::kTransmitterEmpty) transmitter_empty_pending_ = false;
    return static_cast<std::uint8_t>(source | (fifo_enabled_ ? regs::Iir::kFifosEnabled : 0));
}

void Uart16550::write_transmit(std::uint8_t value, sim::Time now) {
    transmitter_empty_pending_ = false;
    update_interrupt(now);  // an edge-triggered controller must see the line fall
    if (transmitter_.count == depth()) {
        // Without FIFOs the new character replaces the waiting one; a full FIFO ignores it.
        ++transmit_overruns_;
        if (!fifo_enabled_) transmitter_.bytes[transmitter_.head] = value;
        return;
    }
    transmitter_.push(value);
    if (shift_end_ == sim::kNever) start_shifting(now);
}

void Uart16550::start_shifting(sim::Time now) {
    shifting_ = transmitter_.pop();
    if (transmitter_.count == 0) transmitter_empty_pending_ = true;
    shift_end_ = now + config_.transmit_time;
    settle(now);
}

void Uart16550::finish_character(std::uint8_t byte, sim::Time now) {
    if (loopback()) {
        receive(byte, now);
        return;
    }
    ++sent_;
    if (recorder_ != nullptr)
        recorder_->record(sim::EventKind::kConsole, now, config_.subject, byte);
    if (sink_ != nullptr) sink_->put(byte, now);
}

void Uart16550::receive(std::uint8_t byte, sim::Time now) {
    if (receiver_.count == depth()) {
        overrun_ = true;  // 8.3: the FIFO keeps what it has; the one register is overwritten
        if (!fifo_enabled_) receiver_.bytes[receiver_.head] = byte;
        return;
    }
    receiver_.push(byte);
    timeout_pending_ = false;
    if (fifo_enabled_) timeout_at_ = now + 4 * config_.receive_time;
}

// 8.2: bits other than ENABLE are ignored while ENABLE is zero; changing ENABLE empties both FIFOs.
void Uart16550::write_fifo_control(std::uint8_t value) {
    const bool enable = regs::Fcr::ENABLE::test(value);
    const bool changed = enable != fifo_enabled_;
    fifo_enabled_ = enable;
    if (changed || (enable && regs::Fcr::RESET_RECEIVER::test(value))) {
        receiver_.clear();
        timeout_pending_ = false;
        timeout_at_ = sim::kNever;
    }
    if (changed || (enable && regs::Fcr::RESET_TRANSMITTER::test(value))) {
        if (transmitter_.count != 0) transmitter_empty_pending_ = true;
        transmitter_.clear();
    }
    if (enable) trigger_level_ = regs::Fcr::kTriggerLevel[regs::Fcr::TRIGGER::get(value)];
}

void Uart16550::write_modem_control(std::uint8_t value) {
    using regs::Msr;
    const std::uint8_t before = modem_lines();
    mcr_ = value & regs::Mcr::kImplemented;
    const std::uint8_t after = modem_lines();
    const auto changed = static_cast<std::uint8_t>(before ^ after);
    if (Msr::CTS::test(changed)) modem_deltas_ = Msr::DCTS::set(modem_deltas_, 1);
    if (Msr::DSR::test(changed)) modem_deltas_ = Msr::DDSR::set(modem_deltas_, 1);
    if (Msr::RI::test(changed) && !Msr::RI::test(after))
        modem_deltas_ = Msr::TERI::set(modem_deltas_, 1);
    if (Msr::DCD::test(changed)) modem_deltas_ = Msr::DDCD::set(modem_deltas_, 1);
}

void Uart16550::queue_input(std::span<const std::uint8_t> bytes, sim::Time now) {
    settle(now);
    if (input_.empty()) next_input_ = std::max(next_input_, now + config_.receive_time);
    input_.insert(input_.end(), bytes.begin(), bytes.end());
    settle(now);
    update_interrupt(now);
}

bool Uart16550::can_accept_input() const noexcept {
    return !input_.empty() && !loopback() && receiver_.count < depth();
}

void Uart16550::accept_input() {
    const sim::Time at = next_input_;
    const std::uint8_t byte = input_.front();
    input_.pop_front();
    next_input_ = at + config_.receive_time;
    ++received_;
    if (recorder_ != nullptr)
        recorder_->record(sim::EventKind::kConsoleInput, at, config_.subject, byte);
    receive(byte, at);
}

// A character that was held back arrives when there is room again, not in the past.
void Uart16550::resume_input(sim::Time now) {
    next_input_ = std::max(next_input_, now);
    settle(now);
}

sim::Time Uart16550::next_deadline() const noexcept {
    sim::Time next = std::min(shift_end_, timeout_at_);
    if (can_accept_input()) next = std::min(next, next_input_);
    return next;
}

// Does what is due, in order of time; at one time: sent, received, timed out.
void Uart16550::settle(sim::Time now) {
    for (sim::Time due = next_deadline(); due <= now && due != sim::kNever; due = next_deadline()) {
        if (shift_end_ == due) {
            shift_end_ = sim::kNever;
            finish_character(shifting_, due);
            if (transmitter_.count != 0) start_shifting(due);
        } else if (can_accept_input() && next_input_ == due) {
            accept_input();
        } else {
            timeout_at_ = sim::kNever;
            timeout_pending_ = receiver_.count != 0;
        }
        update_interrupt(due);
    }
}

void Uart16550::advance_to(sim::Time now) {
    settle(now);
}

void Uart16550::collect(sim::StatisticsSink& sink) const {
    sink.add("uart.sent", sent_, "bytes", "characters sent");
    sink.add("uart.received", received_, "bytes", "characters that entered the receiver");
    sink.add("uart.transmit_overruns", transmit_overruns_, "bytes",
             "characters written while the transmitter was full");
}

}  // namespace hvsim::devices
