// The TLB and the translated code of an engine.
#include <cstring>

#include "cpu/engine/engine_impl.h"
#include "sim/error.h"

namespace hvsim::cpu::engine {
namespace {

/// The library's translator leaks temporaries into a table of 512 without asking whether it is full
/// (a page of FSTP crashes it), so blocks are kept short: 64 times the worst instruction take 228.
/// A block's host code must also stay below 64 KiB, or the library would cut the block by the size
/// of what it makes of it on this host's processor. Memory accesses (ENTER has 62) take most of it,
/// so a block with many of them is made again, short: the worst then takes 55 KiB.
constexpr int kInstructionsABlock = 64, kInstructionsADenseBlock = 32;
constexpr unsigned kAccessesABlock = 96;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
/// What a translated block takes on average, for deciding when the code buffer is used up. The
/// library's host code isn't asked: its size depends on the host's processor and on where the
/// buffer lies, and when code is dropped must depend on the guest alone.
constexpr std::uint64_t kBlockBytes = 1280;
/// Should the estimate be too low (a guest can write code that gets long blocks): the buffer must
/// not fill, 2.1.1 then crashes. One block is at most 64 KiB.
constexpr std::uint64_t kReserve = 256 << 10;

/// What the library keeps of a block, the same in 2.1.1 to 2.1.4; the self-test counts the
/// instructions of a known program.
struct BlockDescriptor {
    std::uint16_t bytes, instructions;
    std::uint8_t* host_code;

    static BlockDescriptor of(const void* block) {
        constexpr std::size_t kBytes = 20, kInstructions = 22, kHostCode = 32;
        const auto* const at = static_cast<const std::uint8_t*>(block);
        BlockDescriptor result;
        std::memcpy(&result.bytes, at + kBytes, sizeof result.bytes);
        std::memcpy(&result.instructions, at + kInstructions, sizeof result.instructions);
        std::memcpy(&result.host_code, at + kHostCode, sizeof result.host_code);
        return result;
    }
};

}  // namespace

bool Engine::Impl::fill_tlb(std::uint64_t address, int access, int mmu_index) {
    const std::uint64_t linear_page = sim::page_base(address);
    const bool assisted = assist.phase == Assist::Phase::running && access != kInstructionFetch;
    if (assisted && fill_assisted(linear_page, mmu_index)) return true;
    const std::uint8_t wanted = access == kDataStore          ? Translations::kWrite
                                : access == kInstructionFetch ? Translations::kExecute
                                                              : Translations::kRead;
    const Translations::Known* known = translations.find(linear_page, mmu_index);
    if (known == nullptr || (known->granted & wanted) == 0) {
        if (!ask_client(address, access, mmu_index))
            return assisted && assist_refused(linear_page) && fill_assisted(linear_page, mmu_index);
        known = translations.find(linear_page, mmu_index);
    }

    // Everything granted goes in at once, as far as the rule for code allows.
    const std::uint64_t physical = known->physical;
    const std::uint64_t page = sim::page_of(physical);
    int protection = (known->granted & Translations::kRead) != 0 ? kPageRead : 0;
    if (wanted == Translations::kExecute) {
        if (linear_page == before_unreachable + sim::kPageSize) before_unreachable = kNoPage;
        shared.pages.will_execute(*this, page);
        protection |= kPageExecute;
    } else {
        const bool writes = wanted == Translations::kWrite;
        if ((known->granted & Translations::kWrite) != 0 &&
            shared.pages.may_write(*this, page, writes))
            protection |= kPageWrite;
        else if ((known->granted & Translations::kExecute) != 0 && holds_code[page] != 0)
            protection |= kPageExecute;
    }
    library_tlb_used = true;
    tlb_set_page_x86_64(processor, linear_page, physical, protection, mmu_index, sim::kPageSize);
    return true;
}

bool Engine::Impl::ask_client(std::uint64_t address, int access, int mmu_index) {
    ++counters.tlb_fills;
    const Access kind = access == kDataStore          ? Access::write
                        : access == kInstructionFetch ? Access::execute
                                                      : Access::read;
    Translation translation;
    if (!client.translate(address, kind, mmu_index == kUserMmuIndex, translation)) return false;
    std::uint64_t physical = sim::page_base(translation.physical);
    if (!a20) physical &= ~(std::uint64_t{1} << 20);
    if (!shared.ram.contains(physical, sim::kPageSize)) return false;
    std::uint8_t granted = Translations::kExecute;
    if (kind != Access::execute) granted = Translations::kRead;
    if (kind == Access::write || (kind == Access::read && translation.writable))
        granted |= Translations::kWrite;
    const std::uint64_t linear_page = sim::page_base(address);
    if (!translations.add(linear_page, mmu_index, physical, granted)) {
        flush_tlb();
        translations.add(linear_page, mmu_index, physical, granted);
    }
    return true;
}

std::uint32_t Engine::Impl::refuse_fill(std::uint64_t address, int access, int mmu_index,
                                        bool in_block) {
    const bool fetch = access == kInstructionFetch;
    // A fetch beyond the page where the block begins: instructions before it must run first, and
    // the fault belongs to the one that reaches over. So translate again, one instruction a block.
    if (fetch && translating && instructions_a_block() != 1 &&
        sim::page_base(address) != sim::page_base(translating_pc)) {
        before_unreachable = sim::page_base(translating_pc);
        return kExitRetranslate;
    }
    // Likewise where such a block is known already: it is looked up with both of its pages.
    const std::uint64_t next = cs_base() + load<std::uint64_t>(layout.rip);
    if (fetch && !translating && !in_block &&
        sim::page_base(address) == sim::page_base(next) + sim::kPageSize &&
        before_unreachable != sim::page_base(next)) {
        before_unreachable = sim::page_base(next);
        return kExitStaleBlock;
    }
    between_blocks = fetch && !in_block;
    intercept.fault.linear = address;
    intercept.fault.exact = true;
    intercept.fault.access = fetch                  ? Access::execute
                             : access == kDataStore ? Access::write
                                                    : Access::read;
    intercept.fault.user = mmu_index == kUserMmuIndex;
    return static_cast<std::uint32_t>(InterceptCode::page_fault);
}

void Engine::Impl::flush_tlb() {
    const ActiveEngine active(*this);
    library_flushes_tlb();
    empty_tlb();
}

void Engine::Impl::library_flushes_tlb() noexcept {
    ++counters.tlb_flushes;
    ++epoch;
    translations.clear();
}

void Engine::Impl::empty_tlb() {
    ++epoch;
    if (!library_tlb_used) return;  // a world switch flushes for each control register
    library_tlb_used = false;
    const ActiveEngine active(*this);
    flush_library_tlb(processor);
}

void Engine::Impl::flush_tlb_page(std::uint64_t linear) {
    translations.forget(sim::page_base(linear));
    empty_tlb_page(linear);
}

void Engine::Impl::empty_tlb_page(std::uint64_t linear) {
    const ActiveEngine active(*this);
    tlb_flush_page_x86_64(processor, sim::page_base(linear));
}

void Engine::Impl::drop_code(std::uint64_t page) {
    const ActiveEngine active(*this);
    ++counters.code_invalidations;
    const std::uint64_t start = page << sim::kPageShift;
    tb_invalidate_phys_range_x86_64(uc, start, start + sim::kPageSize);
}

bool Engine::Impl::code_buffer_used_up() const noexcept {
    return code_buffer_full || code_used_estimate >= code_buffer_bytes - kReserve;
}

void Engine::Impl::begin_translation(std::uint64_t pc, std::uint32_t flags) noexcept {
    translating = true;
    translating_pc = pc;
    translating_flags = flags;
    code_used_estimate += kBlockBytes;  // also when the translation is abandoned
}

bool Engine::Impl::checks_alignment() const noexcept {
    constexpr std::uint32_t kAlignmentCheck = 1u << 18;
    return (translating_flags & kAlignmentCheck) != 0 &&
           (translating_flags & hflag::kCplMask) == hflag::kCplMask;
}

int Engine::Impl::instructions_a_block() const noexcept {
    // The library clears RFLAGS.RF at the block's end; it stands for one instruction.
    constexpr std::uint32_t kResume = 1u << 16;
    if ((translating_flags & kResume) != 0) return 1;
    const std::uint64_t page = sim::page_base(translating_pc);
    return page == before_unreachable || page == untranslatable ? 1 : kInstructionsABlock;
}

std::uint32_t Engine::Impl::library_gave_up() noexcept {
    if (!translating) return static_cast<std::uint32_t>(InterceptCode::shutdown);
    if (instructions_a_block() != 1) {
        untranslatable = sim::page_base(translating_pc);
        return kExitRetranslate;
    }
    between_blocks = true;
    return static_cast<std::uint32_t>(InterceptCode::exception) + 6;
}

/// Makes the block hook's argument `size` carry the number of instructions too, above bit 16: the
/// library knows it once the block is translated, and the call is not far from the start of its
/// code.
int Engine::Impl::instructions_instead(const void* block, unsigned accesses) noexcept {
    const bool dense = accesses > kAccessesABlock &&
                       BlockDescriptor::of(block).instructions > kInstructionsADenseBlock;
    return dense ? kInstructionsADenseBlock : 0;
}

void Engine::Impl::count_instructions(void* block) noexcept {
    constexpr std::uint8_t kMoveToEdx = 0xba;  // MOV EDX,imm32: the hook's third argument
    constexpr std::size_t kSearched = 96;
    const auto [size, count, code] = BlockDescriptor::of(block);
    if (code < code_buffer || code + kSearched + 5 > code_buffer + code_buffer_bytes) return;
    for (std::size_t at = 0; at < kSearched; ++at) {
        std::uint32_t value = 0;
        std::memcpy(&value, code + at + 1, sizeof value);
        if (code[at] != kMoveToEdx || value != size) continue;
        value |= std::uint32_t{count} << 16;
        std::memcpy(code + at + 1, &value, sizeof value);
        return;
    }
}

void Engine::Impl::end_translation(void* block) noexcept {
    translating = false;
    ++counters.blocks_translated;
    if (block != nullptr) count_instructions(block);
    // Blocks' descriptors lie in the buffer, each before its code.
    const auto* const descriptor = static_cast<const std::uint8_t*>(block);
    if (descriptor >= code_buffer && descriptor < code_buffer + code_buffer_bytes)
        code_buffer_full =
            static_cast<std::uint64_t>(descriptor - code_buffer) + kReserve > code_buffer_bytes;
}

void Engine::Impl::flush_code() {
    ++counters.code_buffer_flushes;
    if (uc_ctl_flush_tb(uc) != UC_ERR_OK)
        throw sim::ModelError("the code buffer cannot be flushed");
    code_used_estimate = 0;
    code_buffer_full = false;
}

}  // namespace hvsim::cpu::engine
