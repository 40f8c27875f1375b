#include "cpu/svm/avic.h"

#include <algorithm>

#include "cpu/svm/guest.h"

namespace hvsim::cpu::svm {
namespace {

using avic::Behaviour;

constexpr std::uint32_t kTprBits = 0xff;
// Bits of the ICR that an x2APIC refuses: 31:20, 17:16, 13 and 12 (16.13).
constexpr std::uint64_t kIcrReserved = 0xfff33000;

/// nullptr: a place that is plain memory.
const avic::RegisterRow* row_of(std::uint32_t offset) noexcept {
    const std::uint32_t at = offset & 0xff0;
    const auto found = std::find_if(
        avic::kRegisters.begin(), avic::kRegisters.end(),
        [at](const avic::RegisterRow& row) { return row.first <= at && at <= row.last; });
    return found == avic::kRegisters.end() ? nullptr : &*found;
}

/// 16.11: bits of `value` that WRMSR to the register at `offset` refuses.
constexpr std::uint64_t reserved_bits(std::uint32_t offset) noexcept {
    switch (offset) {
        case avic::kIcrLow:
            return kIcrReserved;
        case avic::kEoi:
        case avic::kEsr:
            return ~std::uint64_t{0};
        case avic::kTpr:
        case avic::kSelfIpi:
            return ~std::uint64_t{0xff};
        default:
            return ~std::uint64_t{0xffffffff};
    }
}

constexpr std::uint32_t offset_of(std::uint32_t msr) noexcept {
    return (msr & 0xff) << 4;
}

}  // namespace

void Avic::start(bool enabled, bool x2apic, unsigned physical_bits) {
    enabled_ = enabled;
    x2apic_ = x2apic;
    physical_bits_ = physical_bits;
    exit_due_ = pending_ = false;
    if (enabled_) evaluate();
}

VirtualApicPage Avic::page() const {
    return {core_.ram(), controls_.avic_backing_page & avic::kPageAddress};
}

void Avic::exit_behind(const AvicExit& exit) {
    exit_ = exit;
    exit_due_ = true;
    core_.poll_soon();
}

AvicExit Avic::no_acceleration(std::uint32_t offset, bool write) noexcept {
    const std::uint64_t info = offset & 0xff0;
    return {ExitCode::AVIC_NOACCEL, write ? info | avic::noaccel::WRITE::kMask : info, 0};
}

// --- registers as memory (15.29.3.1) ---

/// The nested tables have to map the page, but it is the backing page that is accessed.
bool Avic::is_register_page(std::uint64_t guest_physical) const noexcept {
    return enabled_ && !x2apic_ &&
           (guest_physical & avic::kPageAddress) == (controls_.avic_bar & avic::kPageAddress);
}

engine::MmioHandler* Avic::serve(std::uint32_t offset, mmu::Access access) {
    if (access == mmu::Access::execute) return nullptr;
    const avic::RegisterRow* row = row_of(offset);
    if (row == nullptr) return this;
    const Behaviour behaviour = access == mmu::Access::write ? row->write : row->read;
    return behaviour == Behaviour::fault ? nullptr : this;
}

std::uint64_t Avic::mmio_read(std::uint64_t physical, unsigned size) {
    std::uint64_t value = ~std::uint64_t{0};
    const std::uint64_t at =
        (controls_.avic_backing_page & avic::kPageAddress) + (physical & 0xfff);
    core_.ram().read_bytes(at, {reinterpret_cast<std::uint8_t*>(&value), size});
    return value;
}

void Avic::mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) {
    const auto offset = static_cast<std::uint32_t>(physical & 0xfff);
    // The second half of an instruction's access may come upon what does not take it.
    if (serve(offset, mmu::Access::write) == nullptr) return;
    const std::uint64_t at = (controls_.avic_backing_page & avic::kPageAddress) + offset;
    core_.ram().write_bytes(at, {reinterpret_cast<const std::uint8_t*>(&value), size});
    // Bytes between two registers mean nothing; a part of a register acts as the whole does.
    if ((offset & 0xf) < 4) written(offset & 0xff0, page().get(offset & 0xff0));
}

void Avic::written(std::uint32_t offset, std::uint32_t value) {
    switch (offset) {
        case avic::kTpr:
            return write_tpr(value);
        case avic::kEoi:
            return end_interrupt();
        case avic::kIcrLow:
            return send_ipi(value, page().get(avic::kIcrHigh));
        default:
            break;
    }
    const avic::RegisterRow* row = row_of(offset);
    if (row != nullptr && row->write == Behaviour::trap) exit_behind(no_acceleration(offset, true));
}

// --- registers as MSRs (15.29.10): the x2APIC's own checks come first ---

Avic::MsrOutcome Avic::read_msr(std::uint32_t msr, std::uint64_t& value) const {
    const std::uint32_t offset = offset_of(msr);
    const avic::RegisterRow* row = row_of(offset);
    if (row == nullptr || !row->x2apic_read) return MsrOutcome::general_protection;
    if (row->read == Behaviour::fault) return MsrOutcome::exit;
    value = page().get(offset);
    if (offset == avic::kIcrLow) value |= std::uint64_t{page().get(avic::kIcrHigh)} << 32;
    return MsrOutcome::done;
}

Avic::MsrOutcome Avic::write_msr(std::uint32_t msr, std::uint64_t value) {
    const std::uint32_t offset = offset_of(msr);
    const avic::RegisterRow* row = row_of(offset);
    if (row == nullptr || !row->x2apic_write || (value & reserved_bits(offset)) != 0)
        return MsrOutcome::general_protection;
    const auto low = static_cast<std::uint32_t>(value);
    page().set(offset, low);
    if (offset == avic::kIcrLow)
        page().set(avic::kIcrHigh, static_cast<std::uint32_t>(value >> 32));
    if (offset == avic::kSelfIpi) {
        constexpr std::uint32_t kToItself = 1u << 18;
        send_ipi(low | kToItself, 0);
    } else {
        written(offset, low);
    }
    return MsrOutcome::done;
}

// --- priorities and interrupts (15.29.3.1, 15.29.8.3) ---

void Avic::write_tpr(std::uint32_t value) {
    controls_.vintr = vintr::V_TPR::set(controls_.vintr, (value & kTprBits) >> 4);
    update_priority();
}

void Avic::write_cr8(std::uint64_t value) {
    const auto tpr = static_cast<std::uint32_t>(value << 4);
    page().set(avic::kTpr, tpr);
    write_tpr(tpr);
}

/// The end of a level-triggered interrupt is the hypervisor's business: it stays in service.
void Avic::end_interrupt() {
    const auto vector = page().highest_vector(avic::kIsr);
    if (!vector) return;
    if (page().has_vector(avic::kTmr, *vector)) {
        AvicExit exit = no_acceleration(avic::kEoi, true);
        exit.info2 = *vector;
        return exit_behind(exit);
    }
    page().set_vector(avic::kIsr, *vector, false);
    update_priority();
}

/// TPR, or the highest vector in service, has changed: PPR follows.
void Avic::update_priority() {
    const std::uint32_t tpr = page().get(avic::kTpr) & kTprBits;
    const std::uint32_t in_service = page().highest_vector(avic::kIsr).value_or(0);
    page().set(avic::kPpr, tpr >> 4 >= in_service >> 4 ? tpr : in_service & 0xf0);
    evaluate();
}

/// V_TPR is the task priority that counts (15.21.2); VMRUN takes it from the VMCB.
void Avic::evaluate() {
    const auto tpr = static_cast<unsigned>(vintr::V_TPR::get(controls_.vintr) & 0xf);
    const unsigned in_service = page().highest_vector(avic::kIsr).value_or(0);
    const unsigned requested = page().highest_vector(avic::kIrr).value_or(0);
    pending_ = requested >> 4 > std::max(tpr, in_service >> 4);
    if (pending_) core_.poll_soon();
}

std::optional<std::uint8_t> Avic::take_interrupt() {
    const auto vector = page().highest_vector(avic::kIrr);
    pending_ = false;
    if (!vector) return std::nullopt;
    page().set_vector(avic::kIrr, *vector, false);
    page().set_vector(avic::kIsr, *vector, true);
    update_priority();
    return static_cast<std::uint8_t>(*vector);
}

}  // namespace hvsim::cpu::svm
