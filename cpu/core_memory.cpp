// A core's way to memory and devices: walks, the engine's TLB misses, accesses that the core
// performs itself.
#include <algorithm>
#include <cstring>

#include "cpu/core.h"
#include "cpu/descriptor.h"
#include "sim/error.h"

namespace hvsim::cpu {

bool Core::is_apic_page(std::uint64_t page) const noexcept {
    return apic_ != nullptr && apic_->mode() == apic::ApicMode::xapic && apic_->base() == page;
}

std::uint64_t Core::mmio_read(std::uint64_t physical, unsigned size) {
    if (is_apic_page(physical & ~std::uint64_t{0xfff}))
        return apic_->mmio_read(static_cast<std::uint32_t>(physical & 0xfff), size, now());
    sim::Duration delay = 0;
    const std::uint64_t value = bus_.read_memory(physical, size, now(), delay);
    charge(delay);
    return value;
}

void Core::mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) {
    if (is_apic_page(physical & ~std::uint64_t{0xfff})) {
        apic_->mmio_write(static_cast<std::uint32_t>(physical & 0xfff), size, value, now());
        poll_soon();
        return;
    }
    sim::Duration delay = 0;
    bus_.write_memory(physical, size, value, now(), delay);
    charge(delay);
}

// --- translation ---

mmu::PagingState Core::paging_state() const {
    mmu::PagingState state;
    state.mode = mmu::paging_mode((cr0_ & cr0::kPG) != 0, (cr4_ & cr4::kPAE) != 0,
                                  (cr4_ & cr4::kLA57) != 0, (efer_ & efer::kLMA) != 0);
    state.write_protect = (cr0_ & cr0::kWP) != 0;
    state.page_size_extensions = (cr4_ & cr4::kPSE) != 0;
    state.smep = (cr4_ & cr4::kSMEP) != 0;
    state.smap = (cr4_ & cr4::kSMAP) != 0;
    state.no_execute = (efer_ & efer::kNXE) != 0;
    state.maxphyaddr = model_->physical_address_bits;
    state.pdpte = pdptes_;
    return state;
}

void Core::paging_changed() {
    paging_ = paging_state();
    update_optional_intercepts();
    flush_tlb();
}

const mmu::SecondStage& Core::second_stage() noexcept {
    if (guest_ != nullptr)
        if (const mmu::SecondStage* stage = guest_->second_stage(); stage != nullptr) return *stage;
    return physical_;
}

/// Where the guest's PDPTEs are not registers: reads them. False: the walk ends there, `result`
/// says how.
bool Core::read_pdpte(std::uint64_t linear, const mmu::AccessRequest& request,
                      mmu::WalkResult& result) noexcept {
    if (paging_.mode != mmu::PagingMode::pae || guest_ == nullptr || !guest_->walks_pdptes())
        return true;
    const mmu::PdpteLoad load =
        mmu::load_pdptes(second_stage(), paging_.cr3, model_->physical_address_bits);
    result.steps = load.steps;
    if (load.fault.kind != mmu::NestedFaultKind::none) {
        result.outcome = mmu::WalkOutcome::nested_fault;
        result.nested = load.fault;
        return false;
    }
    paging_.pdpte = pdptes_ = load.pdpte;
    const std::uint64_t pdpte = load.pdpte[linear >> 30 & 3];
    if (!mmu::pdpte_reserved_bits_set(pdpte, model_->physical_address_bits)) return true;
    namespace e = mmu::paging::error_code;
    result.outcome = mmu::WalkOutcome::page_fault;
    result.linear = linear & 0xffffffff;
    result.error_code = e::kPresent | e::kReserved;
    if (request.access == mmu::Access::write) result.error_code |= e::kWrite;
    if (request.user && !request.implicit_supervisor) result.error_code |= e::kUser;
    if (request.access == mmu::Access::execute && (paging_.no_execute || paging_.smep))
        result.error_code |= e::kInstruction;
    return false;
}

mmu::WalkResult Core::walk(std::uint64_t linear, const mmu::AccessRequest& request) noexcept {
    paging_.cr3 = engine_->cr(3);
    if (paging_.smap) paging_.alignment_check = (engine_->system_flags() & rflags::kAC) != 0;
    mmu::WalkResult result;
    if (read_pdpte(linear, request, result))
        result = mmu::walk(paging_, second_stage(), linear, request);
    counters_.walks++;
    const unsigned steps = result.steps.guest + result.steps.nested;
    counters_.walk_steps += steps;
    base_ += timing_.memory_tlb_miss + steps * timing_.memory_walk_step;
    return result;
}

bool Core::translate(std::uint64_t linear, engine::Access access, bool user,
                     engine::Translation& out) noexcept {
    if (code_breakpoints_ && !stepping_ && access == engine::Access::execute &&
        is_breakpoint_page(linear)) {
        refusal_ = {Refusal::Kind::code_breakpoint, 0, 0};
        return false;
    }
    mmu::AccessRequest request;
    request.access = access == engine::Access::execute ? mmu::Access::execute
                     : access == engine::Access::write ? mmu::Access::write
                                                       : mmu::Access::read;
    request.user = user;
    const mmu::WalkResult result = walk(linear, request);
    switch (result.outcome) {
        case mmu::WalkOutcome::ok:
            break;
        case mmu::WalkOutcome::page_fault:
            refusal_ = {Refusal::Kind::page_fault, result.error_code, 0};
            return false;
        case mmu::WalkOutcome::non_canonical:
            refusal_ = {Refusal::Kind::non_canonical, 0, 0};
            return false;
        case mmu::WalkOutcome::nested_fault:
            refusal_ = {Refusal::Kind::nested, 0, 0};
            nested_fault_ = result.nested;
            return false;
    }
    const std::uint64_t page = result.system_physical & ~std::uint64_t{0xfff};
    if (extension_ != nullptr && guest_ != nullptr &&
        guest_->is_apic_access_page(result.guest_physical, page)) {
        refusal_ = {Refusal::Kind::guest_apic, 0, page};
        return false;
    }
    const bool apic_page = (guest_ == nullptr || extension_ != nullptr) && is_apic_page(page);
    if (!ram_.contains(page, sim::kPageSize) || apic_page) {
        refusal_ = {Refusal::Kind::device, 0, page};
        return false;
    }
    if (result.guest_page_shift > 12) large_fills_ |= large_region(linear);
    if (recorder_.wants_walks())
        recorder_.record(sim::EventKind::kTlbFill, now(), subject_, linear, result.guest_physical,
                         page, static_cast<std::uint64_t>(access));
    out.physical = page;
    out.writable = result.writable;
    out.executable = result.executable;
    return true;
}

/// An operand that reaches over into another page of a device.
engine::MmioHandler* Core::assisting(std::uint64_t& physical) noexcept {
    if (refusal_.kind != Refusal::Kind::device) return nullptr;
    physical = refusal_.physical;
    return this;
}

/// An operand in a device, in aligned parts.
void Core::access_device(std::uint64_t physical, std::span<std::uint8_t> data, bool write) {
    for (std::size_t at = 0, part = 0; at < data.size(); at += part) {
        for (part = 8; part > data.size() - at || (physical + at) % part != 0;) part /= 2;
        std::uint64_t value = 0;
        if (write) {
            std::memcpy(&value, data.data() + at, part);
            mmio_write(physical + at, static_cast<unsigned>(part), value);
        } else {
            value = mmio_read(physical + at, static_cast<unsigned>(part));
            std::memcpy(data.data() + at, &value, part);
        }
    }
}

Core::LinearAccess Core::access_linear(std::uint64_t linear, std::uint8_t* data, std::size_t size,
                                       mmu::Access access, bool user, Event& fault, bool operand) {
    while (size > 0) {
        mmu::AccessRequest request{access, user, !user};
        const mmu::WalkResult result = walk(linear, request);
        switch (result.outcome) {
            case mmu::WalkOutcome::ok:
                break;
            case mmu::WalkOutcome::page_fault:
                fault = Event::page_fault(linear, result.error_code);
                return LinearAccess::fault;
            case mmu::WalkOutcome::non_canonical:
                fault = Event::fault(kGP, 0);
                return LinearAccess::fault;
            case mmu::WalkOutcome::nested_fault:
                nested_fault_ = result.nested;
                nested_linear_ = linear;
                return LinearAccess::nested;
        }
        const std::size_t part = std::min<std::size_t>(size, sim::kPageSize - (linear & 0xfff));
        // Outside of RAM a descriptor table reads as all ones and a stack loses its bytes.
        if (operand && !ram_.contains(result.system_physical, part)) {
            access_device(result.system_physical, {data, part}, access == mmu::Access::write);
        } else if (access == mmu::Access::write) {
            ram_.write_bytes(result.system_physical, {data, part});
        } else if (!ram_.read_bytes(result.system_physical, {data, part})) {
            std::memset(data, 0xff, part);
        }
        linear += part;
        data += part;
        size -= part;
    }
    return LinearAccess::done;
}

bool Core::peek_linear(std::uint64_t linear, std::span<std::uint8_t> out, mmu::Access access) {
    const std::uint64_t offset = linear & (sim::kPageSize - 1);
    std::uint64_t page = 0;
    // What the engine has just executed needs no walk.
    if (access == mmu::Access::execute && offset + out.size() <= sim::kPageSize &&
        engine_->fetched_page(linear, engine_->cpl() == 3, page))
        return ram_.read_bytes(page + offset, out);
    Event fault;
    const sim::Time before = base_;
    const mmu::NestedFault nested = nested_fault_;
    const bool user = access == mmu::Access::execute && cpl() == 3;
    const bool done =
        access_linear(linear, out.data(), out.size(), access, user, fault) == LinearAccess::done;
    base_ = before;
    nested_fault_ = nested;
    return done;
}

std::size_t Core::peek_code(std::span<std::uint8_t> out) {
    const std::uint64_t linear =
        code_mode().long64 ? rip() : (segment(SegmentName::cs).base + rip()) & 0xffffffff;
    const std::size_t in_page = std::min<std::size_t>(out.size(), 4096 - (linear & 0xfff));
    if (!peek_linear(linear, out.first(in_page), mmu::Access::execute)) return 0;
    if (in_page == out.size() ||
        !peek_linear(linear + in_page, out.subspan(in_page), mmu::Access::execute))
        return in_page;
    return out.size();
}

void Core::flush_tlb() {
    engine_->flush_tlb();
    large_fills_ = 0;
}

/// INVLPG and its like: where a large page was filled since the last flush, everything goes, since
/// the engine holds it as many small ones.
void Core::flush_tlb_page(std::uint64_t linear) {
    if (large_fills_ & large_region(linear))
        flush_tlb();
    else
        engine_->flush_tlb_page(linear);
}

}  // namespace hvsim::cpu
