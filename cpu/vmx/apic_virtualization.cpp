// Virtualization of the guest's local APIC by the virtual-APIC page (SDM 3C chapter 30): TPR
// shadow, APIC accesses and registers, x2APIC MSRs, virtual-interrupt delivery, posted interrupts.
#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/vmx/guest.h"

namespace hvsim::cpu::vmx {
namespace {

// Offsets of registers in the virtual-APIC page (SDM 3A table 11-1).
constexpr std::uint32_t kTpr = 0x80, kPpr = 0xa0, kEoi = 0xb0, kIsr = 0x100, kIrr = 0x200,
                        kIcrLow = 0x300, kIcrHigh = 0x310, kSelfIpi = 0x3f0;
// The guest interrupt status (SDM 3C 25.4.2).
using RVI = sim::Bits<7, 0>;
using SVI = sim::Bits<15, 8>;
// ICR of a self-IPI that needs no exit (SDM 3C 30.4.3.2).
constexpr std::uint32_t kIcrReserved = 0xfff32000, kIcrShorthand = 3u << 18, kIcrSelf = 1u << 18,
                        kIcrLevel = 1u << 15, kIcrMode = 7u << 8;
// Posted-interrupt descriptor (SDM 3C table 30-1).
constexpr std::uint64_t kPirBytes = 32, kNotificationOffset = 32;
constexpr std::uint64_t kOutstanding = 1;

constexpr unsigned priority(std::uint64_t vector) noexcept {
    return static_cast<unsigned>(vector >> 4);
}

/// SDM 3C 30.4.2: registers whose reads "APIC-register virtualization" adds to the TPR.
constexpr bool is_readable_register(std::uint32_t offset) noexcept {
    const std::uint32_t row = offset & 0xff0;
    return row == 0x20 || row == 0x30 || row == kTpr || row == kEoi || row == 0xd0 || row == 0xe0 ||
           row == 0xf0 || (row >= 0x100 && row <= 0x280) || (row >= 0x300 && row <= 0x380) ||
           row == 0x3e0;
}
/// 30.4.3.1: and whose writes.
constexpr bool is_writable_register(std::uint32_t offset) noexcept {
    const std::uint32_t row = offset & 0xff0;
    return row == 0x20 || row == kTpr || row == kEoi || row == 0xd0 || row == 0xe0 || row == 0xf0 ||
           row == 0x280 || (row >= 0x300 && row <= 0x380) || row == 0x3e0;
}

}  // namespace

VirtualApicPage Guest::virtual_apic() const {
    return {core_.ram(), raw(Field::VIRTUAL_APIC_ADDRESS)};
}

// --- priorities (SDM 3C 30.1, 30.2) ---

void Guest::virtualize_tpr() {
    const std::uint32_t tpr = virtual_apic().get(kTpr) & 0xff;
    if (uses(secondary::kVirtualInterruptDelivery)) {
        virtualize_ppr();
        return;
    }
    if (priority(tpr) < (raw(Field::TPR_THRESHOLD) & 0xf))
        trap_after_instruction(ActionKind::tpr_below_threshold, 0);
}

/// VPPR from VTPR and SVI, then whether an interrupt is pending.
void Guest::virtualize_ppr() {
    const std::uint32_t tpr = virtual_apic().get(kTpr) & 0xff;
    const auto svi = static_cast<std::uint32_t>(SVI::get(raw(Field::GUEST_INTERRUPT_STATUS)));
    virtual_apic().set(kPpr, priority(tpr) >= priority(svi) ? tpr : svi & 0xf0);
    evaluate_virtual_interrupts();
}

void Guest::evaluate_virtual_interrupts() {
    const std::uint64_t rvi = RVI::get(raw(Field::GUEST_INTERRUPT_STATUS));
    virtual_interrupt_ = uses(secondary::kVirtualInterruptDelivery) &&
                         priority(rvi) > priority(virtual_apic().get(kPpr) & 0xff);
    if (virtual_interrupt_) core_.poll_soon();
}

void Guest::virtualize_eoi() {
    std::uint64_t status = raw(Field::GUEST_INTERRUPT_STATUS);
    const auto vector = static_cast<unsigned>(SVI::get(status));
    virtual_apic().set_vector(kIsr, vector, false);
    status = SVI::set(status, virtual_apic().highest_vector(kIsr).value_or(0));
    set_raw(Field::GUEST_INTERRUPT_STATUS, status);
    virtualize_ppr();
    static constexpr Field kBitmaps[4] = {Field::EOI_EXIT_BITMAP_0, Field::EOI_EXIT_BITMAP_1,
                                          Field::EOI_EXIT_BITMAP_2, Field::EOI_EXIT_BITMAP_3};
    if (sim::bit(raw(kBitmaps[vector / 64]), vector % 64))
        trap_after_instruction(ActionKind::virtualized_eoi, vector);
}

void Guest::request_virtual_interrupt(unsigned vector) {
    virtual_apic().set_vector(kIrr, vector, true);
    const std::uint64_t status = raw(Field::GUEST_INTERRUPT_STATUS);
    if (vector > RVI::get(status)) set_raw(Field::GUEST_INTERRUPT_STATUS, RVI::set(status, vector));
    evaluate_virtual_interrupts();
}

/// SDM 3C 30.2.2.
void Guest::deliver_virtual_interrupt() {
    std::uint64_t status = raw(Field::GUEST_INTERRUPT_STATUS);
    const auto vector = static_cast<unsigned>(RVI::get(status));
    virtual_apic().set_vector(kIsr, vector, true);
    virtual_apic().set(kPpr, vector & 0xf0);
    virtual_apic().set_vector(kIrr, vector, false);
    status = RVI::set(SVI::set(status, vector), virtual_apic().highest_vector(kIrr).value_or(0));
    set_raw(Field::GUEST_INTERRUPT_STATUS, status);
    virtual_interrupt_ = false;
    program_->deliver_interrupt(static_cast<std::uint8_t>(vector));
}

// --- entry ---

void Guest::start_apic_virtualization() {
    virtual_interrupt_ = false;
    trap_ = {};
    if (!(primary_ & primary::kTprShadow)) return;
    if (uses(secondary::kVirtualInterruptDelivery))
        virtualize_ppr();
    else if (uses(secondary::kVirtualizeApicAccesses))
        virtualize_tpr();  // SDM 3C 27.7.7
}

/// An exit that comes behind the instruction that is being emulated.
void Guest::trap_after_instruction(ActionKind kind, std::uint64_t value) {
    trap_ = {true, kind, value};
    core_.poll_soon();
}

// --- accesses to the APIC-access page (SDM 3C 30.4) ---

bool Guest::is_apic_access_page(std::uint64_t, std::uint64_t page) const noexcept {
    return uses(secondary::kVirtualizeApicAccesses) && page == apic_access_page_;
}

bool Guest::virtualizes_read(std::uint32_t offset) const {
    if (!(primary_ & primary::kTprShadow)) return false;
    if (uses(secondary::kApicRegisterVirtualization)) return is_readable_register(offset);
    return (offset & 0xff0) == kTpr;
}

bool Guest::virtualizes_write(std::uint32_t offset) const {
    if (!(primary_ & primary::kTprShadow)) return false;
    if (uses(secondary::kApicRegisterVirtualization)) return is_writable_register(offset);
    const std::uint32_t row = offset & 0xff0;
    return row == kTpr ||
           (uses(secondary::kVirtualInterruptDelivery) && (row == kEoi || row == kIcrLow));
}

engine::MmioHandler* Guest::serve_apic_access(std::uint32_t offset, mmu::Access access,
                                              unsigned size) {
    // Accesses within one naturally aligned doubleword, of the register's first four bytes.
    if (access == mmu::Access::execute || (offset & 0xc) != 0 || (offset & 3) + size > 4)
        return nullptr;
    const bool served =
        access == mmu::Access::read ? virtualizes_read(offset) : virtualizes_write(offset);
    return served ? &apic_page_ : nullptr;
}

std::uint64_t Guest::ApicPage::mmio_read(std::uint64_t physical, unsigned size) {
    std::uint64_t value = ~std::uint64_t{0};
    const std::uint64_t at = guest_.raw(Field::VIRTUAL_APIC_ADDRESS) + (physical & 0xfff);
    guest_.core_.ram().read_bytes(at, {reinterpret_cast<std::uint8_t*>(&value), size});
    return value;
}

void Guest::ApicPage::mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) {
    const auto offset = static_cast<std::uint32_t>(physical & 0xfff);
    const std::uint64_t at = guest_.raw(Field::VIRTUAL_APIC_ADDRESS) + offset;
    guest_.core_.ram().write_bytes(at, {reinterpret_cast<const std::uint8_t*>(&value), size});
    guest_.emulate_apic_write(offset);
}

/// APIC-write emulation (30.4.3.2).
void Guest::emulate_apic_write(std::uint32_t offset) {
    const std::uint32_t row = offset & 0xff0;
    const bool delivery = uses(secondary::kVirtualInterruptDelivery);
    if (row == kTpr) {
        virtual_apic().set(kTpr, virtual_apic().get(kTpr) & 0xff);
        return virtualize_tpr();
    }
    if (row == kEoi && delivery) {
        virtual_apic().set(kEoi, 0);
        return virtualize_eoi();
    }
    if (row == kIcrHigh) {
        virtual_apic().set(kIcrHigh, virtual_apic().get(kIcrHigh) & 0xff000000);
        return;
    }
    if (row == kIcrLow && delivery) {
        const std::uint32_t icr = virtual_apic().get(kIcrLow);
        const bool self = (icr & kIcrReserved) == 0 && (icr & kIcrShorthand) == kIcrSelf &&
                          (icr & (kIcrLevel | kIcrMode)) == 0 && (icr & 0xf0) != 0;
        if (self) return request_virtual_interrupt(icr & 0xff);
    }
    trap_after_instruction(ActionKind::apic_write, offset);
}

// --- CR8 and x2APIC MSRs (30.3, 30.5) ---

bool Guest::virtualizes_msr(std::uint32_t msr, bool write) const {
    if (!uses(secondary::kX2ApicMode) || msr < msr::kX2ApicFirst || msr > msr::kX2ApicLast)
        return false;
    const std::uint32_t offset = (msr & 0xff) << 4;
    if (offset == kTpr) return true;
    if (!write) return uses(secondary::kApicRegisterVirtualization);
    return uses(secondary::kVirtualInterruptDelivery) && (offset == kEoi || offset == kSelfIpi);
}

void Guest::access_virtual_cr8(const Action& action) {
    if (action.kind == ActionKind::cr_read) {
        core_.set_gpr(action.gpr, (virtual_apic().get(kTpr) & 0xff) >> 4);
    } else {
        if (action.value >> 4 != 0) return program_->raise(kGP);
        virtual_apic().set(kTpr, static_cast<std::uint32_t>(action.value << 4));
        virtualize_tpr();
    }
    program_->complete_instruction(action.instruction_length);
}

void Guest::read_virtual_msr(const Action& action) {
    std::uint64_t value = ~std::uint64_t{0};
    core_.ram().read(raw(Field::VIRTUAL_APIC_ADDRESS) + ((action.msr & 0xff) << 4), value);
    core_.set_gpr(engine::kRax, value & 0xffffffff);
    core_.set_gpr(engine::kRdx, value >> 32);
    program_->complete_instruction(action.instruction_length);
}

void Guest::write_virtual_msr(const Action& action) {
    const std::uint32_t offset = (action.msr & 0xff) << 4;
    const std::uint64_t reserved = offset == kEoi ? ~std::uint64_t{0} : ~std::uint64_t{0xff};
    if ((action.value & reserved) != 0) return program_->raise(kGP);
    core_.ram().write(raw(Field::VIRTUAL_APIC_ADDRESS) + offset, action.value);
    if (offset == kTpr) {
        virtualize_tpr();
    } else if (offset == kEoi) {
        virtualize_eoi();
    } else if ((action.value & 0xf0) != 0) {
        request_virtual_interrupt(static_cast<unsigned>(action.value));
    } else {
        trap_after_instruction(ActionKind::apic_write, offset);
    }
    program_->complete_instruction(action.instruction_length);
}

// --- posted interrupts (30.6) ---

/// True: the processor's interrupt was the notification, and no exit.
bool Guest::process_posted_interrupts() {
    apic::LocalApic& apic = *core_.local_apic();
    const auto pending = apic.highest_pending();
    if (!(pin_ & pin::kPostedInterrupts) || !pending ||
        *pending != raw(Field::POSTED_INTERRUPT_NOTIFICATION_VECTOR))
        return false;
    apic.acknowledge(core_.now());
    apic.eoi(core_.now());
    const std::uint64_t descriptor = raw(Field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS);
    std::uint64_t notification = 0;
    core_.ram().read(descriptor + kNotificationOffset, notification);
    core_.ram().write(descriptor + kNotificationOffset, notification & ~kOutstanding);
    for (unsigned i = 0; i < kPirBytes / 4; ++i) {
        std::uint32_t requests = 0;
        core_.ram().read(descriptor + 4 * i, requests);
        core_.ram().write(descriptor + 4 * i, std::uint32_t{0});
        virtual_apic().set(kIrr + 16 * i, virtual_apic().get(kIrr + 16 * i) | requests);
    }
    const std::uint64_t status = raw(Field::GUEST_INTERRUPT_STATUS);
    const unsigned highest = virtual_apic().highest_vector(kIrr).value_or(0);
    if (highest > RVI::get(status))
        set_raw(Field::GUEST_INTERRUPT_STATUS, RVI::set(status, highest));
    evaluate_virtual_interrupts();
    return true;
}

}  // namespace hvsim::cpu::vmx
