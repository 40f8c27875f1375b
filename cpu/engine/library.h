#pragma once
// What the engine layer knows of the library's inside: functions of the static archive that it
// calls or takes the place of, and the thread's context that tells these on whose behalf they run.
// The signatures are the same in 2.1.1 to 2.1.4; the self-test proves what they do.
#include <unicorn/unicorn.h>

#include <cstddef>
#include <cstdint>

#include "cpu/engine/engine.h"

namespace hvsim::cpu::engine {

/// A step of the library's translator: of the block's state and the processor object.
using TranslatorStep = void (*)(void* block_state, void* processor);

/// What an interposed function of the library finds out about its caller.
struct ThreadContext {
    /// The engine whose library call is under way; null: the library's own behaviour.
    Engine::Impl* engine = nullptr;
    /// Counter that the library's clock follows; null: the host's clock.
    const std::uint64_t* clock = nullptr;
    /// The processor state seen by the latest interposed I/O instruction, and its processor object.
    std::uint8_t* environment = nullptr;
    void* processor = nullptr;
    /// The latest executable mapping (a code buffer) and its bytes.
    std::uint8_t* code_buffer = nullptr;
    std::size_t code_buffer_bytes = 0;
    /// The library's translator, and the memory accesses in the block that it is translating.
    void* translator = nullptr;
    unsigned memory_accesses = 0;
    /// The library's own step that translates an instruction; where one begins that is to be
    /// undefined (all ones: none); whether its 16-byte memory operand must be aligned.
    TranslatorStep translate_instruction = nullptr;
    std::uint64_t undefined_at = ~std::uint64_t{0};
    bool aligned_operand = false;
    /// The load on the slow path, whole: the library cuts it where it is not aligned.
    std::uint64_t load_address = 0;
    unsigned load_bytes = 0;
};
extern thread_local constinit ThreadContext thread_context;

/// Exit codes beyond SVM's that travel through the library's VM exit function. They stay below
/// 0x10000 - 0x100, where the library's own numbers begin.
inline constexpr std::uint32_t kExitNumberBase = 0x100;  // UC_HOOK_INTR number of SVM exit code 0
inline constexpr std::uint32_t kExitBoundary = 0x4f0;    // before a block: limit, stop, assist done
inline constexpr std::uint32_t kExitFlushCode = 0x4f1;   // before translating: code buffer used up
inline constexpr std::uint32_t kExitRetranslate =
    0x4f2;  // while translating: shorter blocks needed

inline constexpr std::uint32_t kExitStaleBlock =
    0x4f4;  // before a block that reaches into a page which can't be fetched
inline constexpr std::uint32_t kExitWatchpoint = 0x4f3;  // before an access that meets a watchpoint

/// MemOp: log2 of the size, byte order (MOVBE), alignment.
namespace mem_op {
inline constexpr unsigned kSize = 3, kSize8 = 3, kSwap = 8;
inline constexpr unsigned kAlignment = 7 << 4, kAligned = 7 << 4 /* to its size */,
                          kAligned16 = 4 << 4;
/// Slow paths take it above the index of the TLB.
inline constexpr unsigned kShift = 4;
}  // namespace mem_op

/// Page protection bits of tlb_set_page.
inline constexpr int kPageRead = 1, kPageWrite = 2, kPageExecute = 4;
/// MMUAccessType.
inline constexpr int kDataLoad = 0, kDataStore = 1, kInstructionFetch = 2;
/// Index of the user-mode TLB.
inline constexpr int kUserMmuIndex = 1;

extern "C" {
/// Restores the state at `return_address` inside translated code (0: the state is current) and
/// leaves by a long jump to UC_HOOK_INTR with number 0x100 + code. No frame between may own
/// anything.
[[noreturn]] void cpu_vmexit_x86_64(void* environment, std::uint32_t code,
                                    std::uint64_t information, std::uintptr_t return_address);
void tlb_set_page_x86_64(void* processor, std::uint64_t linear, std::uint64_t physical,
                         int protection, int mmu_index, std::uint64_t size);
/// Forgets the block that is being translated.
void tcg_func_start_x86_64(void* translator);
/// Ends a block by going on to the one that the state now names.
void tcg_gen_lookup_and_goto_ptr_x86_64(void* translator);
void tlb_flush_page_x86_64(void* processor, std::uint64_t linear);
/// [start, end) in the library's RAM addresses: equal to physical ones for the first region mapped.
void tb_invalidate_phys_range_x86_64(uc_engine* uc, std::uint64_t start, std::uint64_t end);
}

/// Empties the library's TLB, past the interposed function.
void flush_library_tlb(void* processor);

}  // namespace hvsim::cpu::engine
