#pragma once
// What a program's failures say of themselves: "501 vmxon qword ptr [0x100000]" for each, in order.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "cpu/disassembly.h"
#include "sim/recorder.h"

namespace hvsim::cpu::programs {

class FailureLog final : public sim::EventSink {
  public:
    void on_code(const sim::Code& code) override { code_ = code; }
    void on_event(const sim::Event& event) override {
        if (event.kind != sim::EventKind::kVmEntryFailed &&
            event.kind != sim::EventKind::kInstructionRefused &&
            event.kind != sim::EventKind::kVmxInstructionFailed)
            return;
        const std::string instruction = disassemble(code_, event.arguments[3]);
        lines.push_back(
            fmt::format("{} {}", event.arguments[0], instruction.substr(0, instruction.find(' '))));
        code_ = {};
    }
    std::vector<std::string> lines;

  private:
    sim::Code code_;
};

}  // namespace hvsim::cpu::programs
