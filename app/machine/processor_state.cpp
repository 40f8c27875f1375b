#include "app/machine/processor_state.h"

#include <array>
#include <span>

#include "cpu/disassembly.h"

namespace hvsim::app {
namespace {

constexpr std::size_t kInstructions = 4, kLongestInstruction = 15;

}  // namespace

analysis::ProcessorState state_of(cpu::Core& core, std::string name) {
    static constexpr std::array<const char*, cpu::engine::kGprCount> kNames{
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    static constexpr std::array<const char*, 6> kSegments{"es", "cs", "ss", "ds", "fs", "gs"};
    analysis::ProcessorState state;
    state.name = std::move(name);
    const auto add = [&](const char* register_name, std::uint64_t value) {
        state.registers.emplace_back(register_name, value);
    };
    for (unsigned i = 0; i < kNames.size(); ++i) add(kNames[i], core.gpr(i));
    add("rip", core.rip());
    add("rflags", core.rflags());
    for (const auto& [cr_name, index] :
         {std::pair{"cr0", 0u}, {"cr2", 2u}, {"cr3", 3u}, {"cr4", 4u}})
        add(cr_name, core.cr(index));
    add("efer", core.efer());
    for (unsigned i = 0; i < kSegments.size(); ++i)
        add(kSegments[i], core.segment(static_cast<cpu::SegmentName>(i)).selector);
    std::array<std::uint8_t, kInstructions * kLongestInstruction> bytes{};
    const std::size_t there = core.peek_code(bytes);
    state.code = cpu::disassembly(std::span(bytes).first(there), core.code_mode(), core.rip(),
                                  kInstructions);
    return state;
}

}  // namespace hvsim::app
