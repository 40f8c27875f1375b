// Register access of the local APIC: the xAPIC window, the x2APIC MSRs, IA32_APIC_BASE.
#include "apic/local_apic.h"
#include "sim/error.h"

namespace hvsim::apic {

using namespace spec;

namespace {

constexpr bool readable(Access access) {
    return access == Access::read_only || access == Access::read_write;
}
constexpr bool writable(Access access) {
    return access == Access::write_only || access == Access::read_write;
}

constexpr std::optional<LvtEntry> lvt_entry_of(Register reg) {
    switch (reg) {
        case Register::lvt_cmci:
            return LvtEntry::cmci;
        case Register::lvt_timer:
            return LvtEntry::timer;
        case Register::lvt_thermal:
            return LvtEntry::thermal;
        case Register::lvt_performance:
            return LvtEntry::performance;
        case Register::lvt_lint0:
            return LvtEntry::lint0;
        case Register::lvt_lint1:
            return LvtEntry::lint1;
        case Register::lvt_error:
            return LvtEntry::error;
        default:
            return std::nullopt;
    }
}

}  // namespace

std::uint64_t LocalApic::mmio_read(std::uint32_t offset, unsigned size, sim::Time now) {
    const std::uint64_t ones = size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << size * 8) - 1;
    if (mode() != ApicMode::xapic) return ones;
    advance_to(now);
    const RegisterDescription* row = find_register(offset);
    if (row == nullptr || row->xapic == Access::absent) {
        raise_error(kErrorIllegalRegister, now);
        return 0;
    }
    // Registers are 4 bytes at 16-byte steps. What other accesses give is undefined (SDM 3A
    // 11.4.1); here: the bytes of the register, and zero between registers.
    const unsigned byte = offset & 0xf;
    if (!readable(row->xapic) || byte >= 4) return 0;
    const std::uint64_t value = read_register(*row, (offset - row->offset) / 16, now);
    return value >> byte * 8 & ones;
}

void LocalApic::mmio_write(std::uint32_t offset, unsigned size, std::uint64_t value,
                           sim::Time now) {
    if (mode() != ApicMode::xapic) return;
    advance_to(now);
    const RegisterDescription* row = find_register(offset);
    if (row == nullptr || row->xapic == Access::absent) {
        raise_error(kErrorIllegalRegister, now);
        return;
    }
    // Undefined unless 4 aligned bytes (SDM 3A 11.4.1): without effect.
    if (size != 4 || (offset & 0xf) != 0 || !writable(row->xapic)) return;
    write_register(*row, static_cast<std::uint32_t>(value), now);
}

std::optional<std::uint64_t> LocalApic::read_msr(std::uint32_t msr, sim::Time now) {
    if (msr == kMsrApicBase) return state_.base;
    if (msr == kMsrTscDeadline) {
        if (!config_.tsc_deadline) return std::nullopt;
        advance_to(now);
        return timer_.state().tsc_deadline;
    }
    if (mode() != ApicMode::x2apic) return std::nullopt;
    const RegisterDescription* row = find_register((msr - kMsrX2apicFirst) * 16);
    if (row == nullptr || !readable(row->x2apic)) return std::nullopt;
    advance_to(now);
    if (row->reg == Register::icr_low) return state_.icr;
    return read_register(*row, msr - row->msr(), now);
}

bool LocalApic::write_msr(std::uint32_t msr, std::uint64_t value, sim::Time now) {
    if (msr == kMsrApicBase) return write_base(value);
    if (msr == kMsrTscDeadline) {
        if (!config_.tsc_deadline) return false;
        advance_to(now);
        timer_.write_tsc_deadline(value, now);
        advance_to(now);
        return true;
    }
    if (mode() != ApicMode::x2apic) return false;
    const RegisterDescription* row = find_register((msr - kMsrX2apicFirst) * 16);
    if (row == nullptr || !writable(row->x2apic)) return false;
    advance_to(now);
    return write_x2apic(*row, value, now);
}

std::uint64_t LocalApic::x2apic_reserved(const RegisterDescription& row) const noexcept {
    if (row.reg == Register::svr && !config_.eoi_broadcast_suppression)
        return row.reserved() | SvrSuppressEoiBroadcast::kMask;
    if (row.reg == Register::lvt_timer && !config_.tsc_deadline)
        return row.reserved() | std::uint64_t{1} << 18;
    if (row.reg == Register::icr_low) return row.reserved() & 0xffffffff;
    return row.reserved();
}

bool LocalApic::write_x2apic(const RegisterDescription& row, std::uint64_t value, sim::Time now) {
    if ((value & x2apic_reserved(row)) != 0) return false;
    if (row.reg == Register::icr_low) {
        state_.icr = IcrDeliveryStatus::set(value, 0);
        send_ipi(state_.icr, now);
        return true;
    }
    if (row.reg == Register::self_ipi) {
        ++statistics_.ipis_sent;
        self_ipi(static_cast<std::uint8_t>(value), now);
        return true;
    }
    write_register(row, static_cast<std::uint32_t>(value), now);
    return true;
}

bool LocalApic::write_icr(std::uint64_t value, sim::Time now) {
    const RegisterDescription& row = describe(Register::icr_low);
    if ((value & row.reserved() & 0xffffffff) != 0 || mode() == ApicMode::disabled) return false;
    if (mode() == ApicMode::xapic && (value >> 32 & ~std::uint64_t{0xff000000}) != 0) return false;
    advance_to(now);
    state_.icr = IcrDeliveryStatus::set(value, 0);
    send_ipi(state_.icr, now);
    return true;
}

std::uint32_t LocalApic::read_register(const RegisterDescription& row, unsigned slot,
                                       sim::Time now) {
    const bool x2apic = mode() == ApicMode::x2apic;
    if (const auto entry = lvt_entry_of(row.reg)) return lvt(*entry);
    switch (row.reg) {
        case Register::id:
            return x2apic ? config_.id : state_.xapic_id;
        case Register::version: {
            std::uint32_t version = VersionNumber::set(0u, 0x15);
            version = VersionMaxLvtEntry::set(version, kLvtEntries - 1);
            return VersionEoiBroadcastSuppression::set(version, config_.eoi_broadcast_suppression);
        }
        case Register::tpr:
            return state_.tpr;
        case Register::apr:
            return apr();
        case Register::ppr:
            return ppr();
        case Register::ldr:
            return x2apic ? x2apic_ldr(config_.id) : state_.ldr;
        case Register::dfr:
            return state_.dfr;
        case Register::svr:
            return state_.svr;
        case Register::isr:
            return state_.isr.word32(slot);
        case Register::tmr:
            return state_.tmr.word32(slot);
        case Register::irr:
            return state_.irr.word32(slot);
        case Register::esr:
            return state_.esr;
        case Register::icr_low:
            return static_cast<std::uint32_t>(state_.icr);
        case Register::icr_high:
            return static_cast<std::uint32_t>(state_.icr >> 32);
        case Register::initial_count:
            return timer_.state().initial_count;
        case Register::current_count:
            return timer_.current_count(now);
        case Register::divide_configuration:
            return timer_.state().divide_configuration;
        default:
            return 0;  // remote read: no such message exists on these processors
    }
}

void LocalApic::write_register(const RegisterDescription& row, std::uint32_t value, sim::Time now) {
    const auto kept = static_cast<std::uint32_t>(value & row.writable);
    if (const auto entry = lvt_entry_of(row.reg)) return write_lvt(*entry, row, value, now);
    switch (row.reg) {
        case Register::id:
            state_.xapic_id = kept;
            break;
        case Register::tpr:
            state_.tpr = kept;
            break;
        case Register::eoi:
            eoi(now);
            break;
        case Register::ldr:
            state_.ldr = kept;
            break;
        case Register::dfr:
            state_.dfr = kept | 0x0fffffff;
            break;
        case Register::svr:
            write_svr(kept);
            break;
        case Register::esr:
            write_esr();
            break;
        case Register::icr_low:
            state_.icr = (state_.icr & ~std::uint64_t{0xffffffff}) | kept;
            state_.icr = IcrDeliveryStatus::set(state_.icr, 0);
            send_ipi(state_.icr, now);
            break;
        case Register::icr_high:
            state_.icr = (state_.icr & 0xffffffff) | std::uint64_t{kept} << 32;
            break;
        case Register::initial_count:
            timer_.set_initial_count(kept, now);
            break;
        case Register::divide_configuration:
            timer_.set_divide_configuration(kept, now);
            break;
        default:
            SIM_ASSERT(false);
            break;
    }
}

void LocalApic::write_lvt(LvtEntry entry, const RegisterDescription& row, std::uint32_t value,
                          sim::Time now) {
    std::uint64_t writable_bits = row.writable;
    if (entry == LvtEntry::timer && !config_.tsc_deadline)
        writable_bits &= ~(std::uint64_t{1} << 18);
    const bool was_asserted[2] = {lint_asserted(0), lint_asserted(1)};
    std::uint32_t& reg = lvt(entry);
    reg = static_cast<std::uint32_t>((reg & row.ignored) | (value & writable_bits));
    // While the APIC is software-disabled the mask bits stay set (SDM 3A 11.4.7.2).
    if (!software_enabled()) reg = LvtMask::set(reg, 1);
    if (entry == LvtEntry::timer)
        timer_.set_mode(static_cast<TimerMode>(LvtTimerMode::get(reg)), now);
    if (entry == LvtEntry::lint0 || entry == LvtEntry::lint1) {
        // Remote IRR means nothing for edges; a level already there is seen once unmasked.
        if (!LvtLevelTriggered::test(reg)) reg = LvtRemoteIrr::set(reg, 0);
        const unsigned pin = entry == LvtEntry::lint0 ? 0 : 1;
        update_lint(pin, was_asserted[pin], now);
    }
}

void LocalApic::write_svr(std::uint32_t value) {
    if (!config_.eoi_broadcast_suppression) value = SvrSuppressEoiBroadcast::set(value, 0);
    state_.svr = value;
    if (!software_enabled())
        for (std::uint32_t& entry : state_.lvt) entry = LvtMask::set(entry, 1);
}

void LocalApic::write_esr() {
    state_.esr = state_.esr_errors;
    state_.esr_errors = 0;
    state_.error_interrupt_armed = true;
}

bool LocalApic::write_base(std::uint64_t value) {
    const std::uint64_t address =
        ((std::uint64_t{1} << config_.physical_address_bits) - 1) & ~std::uint64_t{0xfff};
    std::uint64_t allowed = address | BaseBootstrapProcessor::kMask | BaseEnable::kMask;
    if (config_.x2apic) allowed |= BaseX2apicEnable::kMask;
    if ((value & ~allowed) != 0) return false;
    const bool enable = BaseEnable::test(value);
    const bool extended = BaseX2apicEnable::test(value);
    if (extended && !enable) return false;
    const ApicMode wanted = extended ? ApicMode::x2apic
                            : enable ? ApicMode::xapic
                                     : ApicMode::disabled;
    const ApicMode current = mode();
    // The two edges that the state machine lacks (SDM 3A figure 11-27).
    if (current == ApicMode::x2apic && wanted == ApicMode::xapic) return false;
    if (current == ApicMode::disabled && wanted == ApicMode::x2apic) return false;

    state_.base = value;
    if (wanted == current) return true;
    if (wanted == ApicMode::disabled) {
        // Nothing of the registers outlives the disabled state (SDM 3A 11.4.3, 11.12.5.1).
        reset_registers();
        state_.xapic_id = config_.id << 24;
    } else if (wanted == ApicMode::x2apic) {
        // Not kept on the way to x2APIC: a written id, LDR, and the ICR's high half (11.12.5.1).
        state_.xapic_id = config_.id << 24;
        state_.ldr = 0;
        state_.icr &= 0xffffffff;
    }
    return true;
}

}  // namespace hvsim::apic
