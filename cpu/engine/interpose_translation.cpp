// Functions that take the place of the library's own around translating a block (see
// interpose.cpp). What the architecture demands of an instruction and the library does not ask is
// put into the block here: the alignment of its operands travels as that of the library's memory
// operations, which its fast path compares anyway.
#include <algorithm>
#include <array>
#include <utility>

#include "cpu/engine/engine_impl.h"
#include "cpu/engine/instruction_rules.h"

extern "C" std::uint32_t __real_cpu_ldub_code_x86_64(void* environment, std::uint64_t address);

namespace hvsim::cpu::engine {
namespace {

/// TranslatorOps: pointers to functions, the fifth translates an instruction.
constexpr std::size_t kTranslatorSteps = 7, kTranslateInstruction = 4;
/// DisasContextBase::pc_next; the self-test asks for instructions that need it.
constexpr std::size_t kNextPc = 16;
constexpr std::uint64_t kNowhere = ~std::uint64_t{0};

std::uint8_t fetch_code(std::uint64_t address) {
    return static_cast<std::uint8_t>(
        __real_cpu_ldub_code_x86_64(thread_context.engine->environment, address));
}

std::uint64_t next_pc(const void* block_state) {
    std::uint64_t pc = 0;
    std::memcpy(&pc, static_cast<const std::uint8_t*>(block_state) + kNextPc, sizeof pc);
    return pc;
}

void translate_instruction(void* block_state, void* processor) {
    const Engine::Impl& engine = *thread_context.engine;
    const bool long64 = (engine.translating_flags & hflag::kCs64) != 0;
    const std::uint64_t pc = next_pc(block_state);
    const InstructionRules rules = instruction_rules(pc, long64, &fetch_code);
    thread_context.aligned_operand = rules.aligned;
    thread_context.undefined_at = rules.undefined ? pc : kNowhere;
    thread_context.translate_instruction(block_state, processor);
    thread_context.undefined_at = kNowhere;
}

/// MemOp of an access, with the alignment it must have.
unsigned aligned_operation(unsigned operation) {
    const Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr || (operation & mem_op::kAlignment) != 0) return operation;
    if (thread_context.aligned_operand && (operation & mem_op::kSize) == mem_op::kSize8) {
        thread_context.aligned_operand = false;  // the second half need not be asked
        return operation | mem_op::kAligned16;
    }
    return engine->checks_alignment() ? operation | mem_op::kAligned : operation;
}

/// The same of a block's load or store, which is counted.
unsigned counted_operation(void* translator, unsigned operation) {
    thread_context.translator = translator;
    ++thread_context.memory_accesses;
    return aligned_operation(operation);
}

}  // namespace
}  // namespace hvsim::cpu::engine

using namespace hvsim::cpu::engine;  // NOLINT: the functions below stand for the library's global
                                     // ones

extern "C" {

void* __real_tb_gen_code_x86_64(void* processor, std::uint64_t pc, std::uint64_t cs_base,
                                std::uint32_t flags, int compile_flags);
void __real_gen_intermediate_code_x86_64(void* processor, void* block, int instructions);
void __real_translator_loop_x86_64(const TranslatorStep* steps, void* block_state, void* processor,
                                   void* block, int instructions);
void __real_tcg_gen_exit_tb_x86_64(void* translator, const void* block, unsigned index);
void __real_tcg_gen_qemu_ld_i32_x86_64(void* translator, void*, void*, std::uint64_t, unsigned);
void __real_tcg_gen_qemu_ld_i64_x86_64(void* translator, void*, void*, std::uint64_t, unsigned);
void __real_tcg_gen_qemu_st_i32_x86_64(void* translator, void*, void*, std::uint64_t, unsigned);
void __real_tcg_gen_qemu_st_i64_x86_64(void* translator, void*, void*, std::uint64_t, unsigned);

void* __wrap_tb_gen_code_x86_64(void* processor, std::uint64_t pc, std::uint64_t cs_base,
                                std::uint32_t flags, int compile_flags) {
    thread_context.processor = processor;
    Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr)
        return __real_tb_gen_code_x86_64(processor, pc, cs_base, flags, compile_flags);
    if (engine->code_buffer_used_up()) cpu_vmexit_x86_64(engine->environment, kExitFlushCode, 0, 0);
    engine->begin_translation(pc, flags);
    void* const block = __real_tb_gen_code_x86_64(processor, pc, cs_base, flags, compile_flags);
    engine->end_translation(block);
    return block;
}

void __wrap_gen_intermediate_code_x86_64(void* processor, void* block, int instructions) {
    const Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr)
        return __real_gen_intermediate_code_x86_64(processor, block, instructions);
    thread_context.memory_accesses = 0;
    __real_gen_intermediate_code_x86_64(processor, block,
                                        std::min(instructions, engine->instructions_a_block()));
    const int instead = Engine::Impl::instructions_instead(block, thread_context.memory_accesses);
    if (instead == 0) return;
    tcg_func_start_x86_64(thread_context.translator);
    __real_gen_intermediate_code_x86_64(processor, block, instead);
}

void __wrap_translator_loop_x86_64(const TranslatorStep* steps, void* block_state, void* processor,
                                   void* block, int instructions) {
    if (thread_context.engine == nullptr)
        return __real_translator_loop_x86_64(steps, block_state, processor, block, instructions);
    std::array<TranslatorStep, kTranslatorSteps> own{};
    std::copy_n(steps, own.size(), own.begin());
    thread_context.translate_instruction =
        std::exchange(own[kTranslateInstruction], &translate_instruction);
    thread_context.undefined_at = kNowhere;
    __real_translator_loop_x86_64(own.data(), block_state, processor, block, instructions);
}

/// An instruction that is undefined though the library knows it reads as UD2.
std::uint32_t __wrap_cpu_ldub_code_x86_64(void* environment, std::uint64_t address) {
    constexpr std::uint8_t kUd2[] = {0x0f, 0x0b};
    const std::uint64_t at = address - thread_context.undefined_at;
    if (thread_context.engine != nullptr && thread_context.undefined_at != kNowhere &&
        at < sizeof kUd2)
        return kUd2[at];
    return __real_cpu_ldub_code_x86_64(environment, address);
}

void __wrap_tcg_gen_qemu_ld_i32_x86_64(void* translator, void* value, void* address,
                                       std::uint64_t index, unsigned operation) {
    __real_tcg_gen_qemu_ld_i32_x86_64(translator, value, address, index,
                                      counted_operation(translator, operation));
}
void __wrap_tcg_gen_qemu_ld_i64_x86_64(void* translator, void* value, void* address,
                                       std::uint64_t index, unsigned operation) {
    __real_tcg_gen_qemu_ld_i64_x86_64(translator, value, address, index,
                                      counted_operation(translator, operation));
}
void __wrap_tcg_gen_qemu_st_i32_x86_64(void* translator, void* value, void* address,
                                       std::uint64_t index, unsigned operation) {
    __real_tcg_gen_qemu_st_i32_x86_64(translator, value, address, index,
                                      counted_operation(translator, operation));
}
void __wrap_tcg_gen_qemu_st_i64_x86_64(void* translator, void* value, void* address,
                                       std::uint64_t index, unsigned operation) {
    __real_tcg_gen_qemu_st_i64_x86_64(translator, value, address, index,
                                      counted_operation(translator, operation));
}

// Read-modify-write instructions with LOCK, and XCHG: their load and store, whose alignment is that
// of the whole.
#define HVSIM_ATOMIC(name)                                                                       \
    void __real_tcg_gen_atomic_##name##_i64_x86_64(void*, void*, void*, void*, std::uint64_t,    \
                                                   unsigned);                                    \
    void __wrap_tcg_gen_atomic_##name##_i64_x86_64(void* translator, void* value, void* address, \
                                                   void* operand, std::uint64_t index,           \
                                                   unsigned operation) {                         \
        __real_tcg_gen_atomic_##name##_i64_x86_64(translator, value, address, operand, index,    \
                                                  aligned_operation(operation));                 \
    }
HVSIM_ATOMIC(add_fetch)
HVSIM_ATOMIC(and_fetch)
HVSIM_ATOMIC(or_fetch)
HVSIM_ATOMIC(xor_fetch)
HVSIM_ATOMIC(fetch_add)
HVSIM_ATOMIC(fetch_and)
HVSIM_ATOMIC(fetch_or)
HVSIM_ATOMIC(fetch_xor)
HVSIM_ATOMIC(xchg)
#undef HVSIM_ATOMIC
void __real_tcg_gen_atomic_cmpxchg_i64_x86_64(void*, void*, void*, void*, void*, std::uint64_t,
                                              unsigned);
void __wrap_tcg_gen_atomic_cmpxchg_i64_x86_64(void* translator, void* value, void* address,
                                              void* compared, void* fresh, std::uint64_t index,
                                              unsigned operation) {
    __real_tcg_gen_atomic_cmpxchg_i64_x86_64(translator, value, address, compared, fresh, index,
                                             aligned_operation(operation));
}

/// A block that ends without a jump of its own (full, or after POPF, STI, CLAC) would go back to
/// the library's main loop. That loop only looks for requests that the next block's start sees too,
/// so it goes on to the next block itself, as an indirect jump does.
void __wrap_tcg_gen_exit_tb_x86_64(void* translator, const void* block, unsigned index) {
    if (block == nullptr && thread_context.engine != nullptr)
        return tcg_gen_lookup_and_goto_ptr_x86_64(translator);
    __real_tcg_gen_exit_tb_x86_64(translator, block, index);
}
}
