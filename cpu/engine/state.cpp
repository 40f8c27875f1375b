// The architectural state, read and written in place in the library's processor state.
#include "cpu/engine/engine_impl.h"
#include "sim/bits.h"
#include "sim/error.h"

namespace hvsim::cpu::engine {
namespace {

using sim::Bits;

// The library keeps a descriptor's second doubleword (SDM 3A 3.4.5, figure 3-8).
using DescriptorLow = Bits<15, 8>;    // type, S, DPL, P
using DescriptorHigh = Bits<23, 20>;  // AVL, L, D/B, G
constexpr std::uint32_t kDescriptorPresent = 1U << 15;
constexpr std::uint32_t kDescriptorLong = 1U << 21;
constexpr std::uint32_t kDescriptorBig = 1U << 22;
using DescriptorDpl = Bits<14, 13>;
constexpr std::uint32_t kDescriptorBusy = 1U << 9;
// Access rights as in a VMCS (SDM 3C 25.4.1, table 25-2).
using RightsLow = Bits<7, 0>;
using RightsHigh = Bits<15, 12>;
constexpr std::uint32_t kRightsUnusable = 1U << 16;

using Cr0Pe = Bits<0>;
using Cr0MpEmTs = Bits<3, 1>;
using Cr0Pg = Bits<31>;
using Cr4OsFxsr = Bits<9>;
using Cr4Smap = Bits<21>;
using EferLme = Bits<8>;
using EferLma = Bits<10>;
using FlagsVm = Bits<17>;
constexpr std::uint64_t kArithmeticAndDirection = 0xcd5;

std::uint32_t to_rights(std::uint32_t flags) {
    auto rights = static_cast<std::uint32_t>(DescriptorLow::get(flags));
    rights = RightsHigh::set(rights, DescriptorHigh::get(flags));
    return (flags & kDescriptorPresent) != 0 ? rights : rights | kRightsUnusable;
}

std::uint32_t to_flags(std::uint32_t rights) {
    std::uint32_t flags = DescriptorLow::set(0U, RightsLow::get(rights));
    flags = DescriptorHigh::set(flags, RightsHigh::get(rights));
    return (rights & kRightsUnusable) != 0 ? flags & ~kDescriptorPresent : flags;
}

}  // namespace

/// The library's derived word from CR0, CR4, EFER, RFLAGS.VM and the segments.
void Engine::Impl::recompute_modes() {
    const auto cr0 = load<std::uint64_t>(layout.cr);
    const auto cr4 = load<std::uint64_t>(layout.cr + 32);
    auto efer = load<std::uint64_t>(layout.efer);
    const bool protection = Cr0Pe::test(cr0);
    const bool virtual_8086 = FlagsVm::test(load<std::uint64_t>(layout.rflags));
    const bool long_mode = EferLme::test(efer) && Cr0Pg::test(cr0);
    efer = EferLma::set(efer, long_mode ? 1 : 0);
    store(layout.efer, efer);

    const auto flags_of = [this](SegmentName name) {
        return load<std::uint32_t>(segment_offset(name) + layout.flags);
    };
    const auto base_of = [this](SegmentName name) {
        return load<std::uint64_t>(segment_offset(name) + layout.base);
    };
    const std::uint32_t cs = flags_of(SegmentName::cs);
    const std::uint32_t ss = flags_of(SegmentName::ss);
    constexpr std::uint32_t kDerived = hflag::kCplMask | hflag::kCs32 | hflag::kSs32 |
                                       hflag::kAddSegment | hflag::kProtected | hflag::kMpEmTs |
                                       hflag::kLongMode | hflag::kCs64 | hflag::kSvme |
                                       hflag::kOsFxsr | hflag::kSmap;
    std::uint32_t word = hflags() & ~kDerived;
    if (protection) {
        word |= hflag::kProtected;
        word |= virtual_8086 ? 3 : static_cast<std::uint32_t>(DescriptorDpl::get(ss));
    }
    word |= static_cast<std::uint32_t>(Cr0MpEmTs::get(cr0)) << hflag::kMpEmTsShift;
    if (Cr4OsFxsr::test(cr4)) word |= hflag::kOsFxsr;
    if (Cr4Smap::test(cr4)) word |= hflag::kSmap;
    if (long_mode) word |= hflag::kLongMode;
    if (long_mode && (cs & kDescriptorLong) != 0) {
        word |= hflag::kCs64 | hflag::kCs32 | hflag::kSs32;
    } else {
        if ((cs & kDescriptorBig) != 0) word |= hflag::kCs32;
        if ((ss & kDescriptorBig) != 0) word |= hflag::kSs32;
        const bool flat =
            protection && !virtual_8086 && (cs & kDescriptorBig) != 0 &&
            (base_of(SegmentName::ds) | base_of(SegmentName::es) | base_of(SegmentName::ss)) == 0;
        if (!flat) word |= hflag::kAddSegment;
    }
    set_hflags(word);
}

/// SDM 3A table 10-1, after power-up.
void Engine::Impl::reset_state() {
    for (unsigned i = 0; i < kGprCount; ++i) store<std::uint64_t>(layout.gpr + 8 * i, 0);
    store<std::uint64_t>(layout.rip, 0xfff0);
    store<std::uint64_t>(layout.cr, 0x60000010);
    for (unsigned i : {2U, 3U, 4U}) store<std::uint64_t>(layout.cr + 8 * i, 0);
    store<std::uint64_t>(layout.efer, 0);
    store<std::uint64_t>(layout.xcr0, 1);
    for (unsigned i : {0U, 1U, 2U, 3U}) store<std::uint64_t>(layout.dr + 8 * i, 0);
    store<std::uint64_t>(layout.dr + 48, 0xffff0ff0);
    store<std::uint64_t>(layout.dr + 56, 0x400);
    for (const SegmentName name :
         {SegmentName::es, SegmentName::cs, SegmentName::ss, SegmentName::ds, SegmentName::fs,
          SegmentName::gs, SegmentName::ldtr, SegmentName::tr}) {
        const std::size_t at = segment_offset(name);
        const bool code = name == SegmentName::cs;
        std::uint32_t rights = code ? 0x9b : 0x93;
        if (name == SegmentName::ldtr) rights = 0x82;
        if (name == SegmentName::tr) rights = 0x89;
        store<std::uint32_t>(at + layout.selector, code ? 0xf000 : 0);
        store<std::uint64_t>(at + layout.base, code ? 0xffff0000 : 0);
        store<std::uint32_t>(at + layout.limit, 0xffff);
        store<std::uint32_t>(at + layout.flags, to_flags(rights));
    }
    for (const std::size_t table : {layout.gdtr, layout.idtr}) {
        store<std::uint64_t>(table + layout.base, 0);
        store<std::uint32_t>(table + layout.limit, 0xffff);
    }
    const std::uint64_t flags = 2;
    uc_reg_write(uc, UC_X86_REG_RFLAGS, &flags);
    recompute_modes();
}

std::uint64_t Engine::gpr(unsigned index) const {
    SIM_ASSERT(index < kGprCount);
    return impl_->load<std::uint64_t>(impl_->layout.gpr + 8 * index);
}
void Engine::set_gpr(unsigned index, std::uint64_t value) {
    SIM_ASSERT(index < kGprCount);
    impl_->store(impl_->layout.gpr + 8 * index, value);
}
std::uint64_t Engine::rip() const {
    return impl_->load<std::uint64_t>(impl_->layout.rip);
}
void Engine::set_rip(std::uint64_t value) {
    impl_->store(impl_->layout.rip, value);
}

std::uint64_t Engine::rflags() const {
    std::uint64_t value = 0;
    uc_reg_read(impl_->uc, UC_X86_REG_RFLAGS, &value);
    return value;
}
std::uint64_t Engine::system_flags() const {
    return impl_->load<std::uint64_t>(impl_->layout.rflags) & ~kArithmeticAndDirection;
}
void Engine::set_rflags(std::uint64_t value) {
    value |= 2;
    const bool was_virtual = FlagsVm::test(impl_->load<std::uint64_t>(impl_->layout.rflags));
    uc_reg_write(impl_->uc, UC_X86_REG_RFLAGS, &value);
    // Inside the library's loop its word holds only the flags that it doesn't compute lazily;
    // outside it holds all of them.
    if (impl_->in_handler) impl_->store(impl_->layout.rflags, value & ~kArithmeticAndDirection);
    if (was_virtual != FlagsVm::test(value)) impl_->recompute_modes();
}

Segment Engine::segment(SegmentName name) const {
    const Layout& layout = impl_->layout;
    const std::size_t at = impl_->segment_offset(name);
    Segment result;
    result.selector = static_cast<std::uint16_t>(impl_->load<std::uint32_t>(at + layout.selector));
    result.limit = impl_->load<std::uint32_t>(at + layout.limit);
    result.base = impl_->load<std::uint64_t>(at + layout.base);
    std::uint32_t flags = impl_->load<std::uint32_t>(at + layout.flags);
    if (name == SegmentName::tr) flags |= kDescriptorBusy;
    result.access_rights = to_rights(flags);
    return result;
}
void Engine::set_segment(SegmentName name, const Segment& segment) {
    const Layout& layout = impl_->layout;
    const std::size_t at = impl_->segment_offset(name);
    std::uint32_t flags = to_flags(segment.access_rights);
    // The library wants an available TSS: with a busy one its 32-bit call gates abort the process.
    if (name == SegmentName::tr) flags &= ~kDescriptorBusy;
    if (impl_->load<std::uint32_t>(at + layout.selector) == segment.selector &&
        impl_->load<std::uint32_t>(at + layout.limit) == segment.limit &&
        impl_->load<std::uint64_t>(at + layout.base) == segment.base &&
        impl_->load<std::uint32_t>(at + layout.flags) == flags)
        return;
    impl_->store<std::uint32_t>(at + layout.selector, segment.selector);
    impl_->store(at + layout.limit, segment.limit);
    impl_->store(at + layout.base, segment.base);
    impl_->store(at + layout.flags, flags);
    if (name < SegmentName::fs) impl_->recompute_modes();
}

TableRegister Engine::gdtr() const {
    const std::size_t at = impl_->layout.gdtr;
    return {impl_->load<std::uint64_t>(at + impl_->layout.base),
            static_cast<std::uint16_t>(impl_->load<std::uint32_t>(at + impl_->layout.limit))};
}
TableRegister Engine::idtr() const {
    const std::size_t at = impl_->layout.idtr;
    return {impl_->load<std::uint64_t>(at + impl_->layout.base),
            static_cast<std::uint16_t>(impl_->load<std::uint32_t>(at + impl_->layout.limit))};
}
void Engine::set_gdtr(const TableRegister& value) {
    impl_->store(impl_->layout.gdtr + impl_->layout.base, value.base);
    impl_->store<std::uint32_t>(impl_->layout.gdtr + impl_->layout.limit, value.limit);
}
void Engine::set_idtr(const TableRegister& value) {
    impl_->store(impl_->layout.idtr + impl_->layout.base, value.base);
    impl_->store<std::uint32_t>(impl_->layout.idtr + impl_->layout.limit, value.limit);
}

std::uint64_t Engine::cr(unsigned index) const {
    SIM_ASSERT(index <= 4 && index != 1);
    return impl_->load<std::uint64_t>(impl_->layout.cr + 8 * index);
}
void Engine::set_cr(unsigned index, std::uint64_t value) {
    SIM_ASSERT(index <= 4 && index != 1);
    impl_->store(impl_->layout.cr + 8 * index, value);
    if (index == 0 || index == 4) impl_->recompute_modes();
}
std::uint64_t Engine::efer() const {
    return impl_->load<std::uint64_t>(impl_->layout.efer);
}
void Engine::set_efer(std::uint64_t value) {
    impl_->store(impl_->layout.efer, value);
    impl_->recompute_modes();
}
unsigned Engine::cpl() const {
    return impl_->hflags() & hflag::kCplMask;
}
bool Engine::in_64bit_code() const {
    return (impl_->hflags() & hflag::kCs64) != 0;
}
bool Engine::in_32bit_code() const {
    return (impl_->hflags() & hflag::kCs32) != 0;
}
std::uint64_t Engine::dr(unsigned index) const {
    SIM_ASSERT(index < 8 && index != 4 && index != 5);
    return impl_->load<std::uint64_t>(impl_->layout.dr + 8 * index);
}
void Engine::set_dr(unsigned index, std::uint64_t value) {
    SIM_ASSERT(index < 8 && index != 4 && index != 5);
    impl_->store(impl_->layout.dr + 8 * index, value);
}

bool Engine::interrupt_shadow() const {
    if (impl_->assist.phase == Assist::Phase::running) return impl_->assist.shadow_was_set;
    return (impl_->hflags() & hflag::kInhibitInterrupts) != 0;
}
void Engine::set_interrupt_shadow(bool value) {
    const std::uint32_t others = impl_->hflags() & ~hflag::kInhibitInterrupts;
    impl_->set_hflags(value ? others | hflag::kInhibitInterrupts : others);
}
bool Engine::nmi_blocked() const {
    return (impl_->load<std::uint32_t>(impl_->layout.hflags2) & hflag::kNmiBlocked) != 0;
}
void Engine::set_nmi_blocked(bool value) {
    const std::uint32_t others =
        impl_->load<std::uint32_t>(impl_->layout.hflags2) & ~hflag::kNmiBlocked;
    impl_->store(impl_->layout.hflags2, value ? others | hflag::kNmiBlocked : others);
}

namespace {

struct MsrPlace {
    std::size_t offset;
    bool narrow;  ///< 32 bits
};

MsrPlace place_of(const Engine::Impl& impl, std::uint32_t msr) {
    const Layout& layout = impl.layout;
    switch (msr) {
        case 0x174:
            return {layout.sysenter_cs, true};
        case 0x175:
            return {layout.sysenter_esp, false};
        case 0x176:
            return {layout.sysenter_eip, false};
        case 0xc0000081:
            return {layout.star, false};
        case 0xc0000082:
            return {layout.lstar, false};
        case 0xc0000083:
            return {layout.cstar, false};
        case 0xc0000084:
            return {layout.fmask, false};
        case 0xc0000100:
            return {impl.segment_offset(SegmentName::fs) + layout.base, false};
        case 0xc0000101:
            return {impl.segment_offset(SegmentName::gs) + layout.base, false};
        case 0xc0000102:
            return {layout.kernel_gs_base, false};
        default:
            SIM_ASSERT(msr == 0xc0000103);
            return {layout.tsc_aux, false};
    }
}

}  // namespace

std::uint64_t Engine::native_msr(std::uint32_t msr) const {
    const MsrPlace place = place_of(*impl_, msr);
    return place.narrow ? impl_->load<std::uint32_t>(place.offset)
                        : impl_->load<std::uint64_t>(place.offset);
}
void Engine::set_native_msr(std::uint32_t msr, std::uint64_t value) {
    const MsrPlace place = place_of(*impl_, msr);
    if (place.narrow)
        impl_->store(place.offset, static_cast<std::uint32_t>(value & 0xffff));
    else
        impl_->store(place.offset, value);
}
void Engine::take_shared_state(const Engine& other, Transition transition) {
    const Layout& layout = impl_->layout;
    const std::uint8_t* const from = other.impl_->environment;
    std::uint8_t* const to = impl_->environment;
    const auto take = [&](std::size_t offset, std::size_t bytes) {
        std::memcpy(to + offset, from + offset, bytes);
    };
    const auto take_word = [&](std::size_t offset) { take(offset, 8); };
    take(layout.gpr, kGprCount * 8);
    take_word(layout.cr + 16);
    take(layout.dr, 8 * 8);
    take(layout.vectors, layout.vectors_bytes);
    for (const std::size_t offset : {layout.xcr0, layout.star, layout.lstar, layout.cstar,
                                     layout.fmask, layout.kernel_gs_base, layout.tsc_aux})
        take_word(offset);
    if (transition == Transition::svm) {
        for (const SegmentName name :
             {SegmentName::fs, SegmentName::gs, SegmentName::ldtr, SegmentName::tr})
            take(impl_->segment_offset(name), layout.segment_stride);
        take(layout.sysenter_cs, 4);
        take_word(layout.sysenter_esp);
        take_word(layout.sysenter_eip);
    }
    set_interrupt_shadow(other.interrupt_shadow());
    set_nmi_blocked(other.nmi_blocked());
}

std::uint64_t Engine::xcr0() const {
    return impl_->load<std::uint64_t>(impl_->layout.xcr0);
}
void Engine::set_xcr0(std::uint64_t value) {
    impl_->store(impl_->layout.xcr0, value);
}

}  // namespace hvsim::cpu::engine
