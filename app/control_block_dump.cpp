#include "app/control_block_dump.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>

#include "analysis/quantity_text.h"
#include "app/control_block_file.h"
#include "cpu/execution_core.h"
#include "cpu/svm/value_text.h"
#include "cpu/vmx/value_text.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

bool counts(const DumpCondition& condition, const sim::Subject& subject) {
    return (!condition.lp || *condition.lp == subject.lp) &&
           (!condition.partition || *condition.partition == subject.partition) &&
           (!condition.vp || *condition.vp == subject.vp);
}

std::string value_text(bool vmcs, const cpu::FieldValue& field) {
    return vmcs ? cpu::vmx::value_text(static_cast<cpu::vmx::Field>(field.number), field.value)
                : cpu::svm::value_text(field.number, field.value);
}

}  // namespace

ControlBlockDump::ControlBlockDump(std::filesystem::path path, const std::string& scenario,
                                   sim::TraceNames names, std::vector<DumpCondition> conditions)
    : path_(std::move(path)),
      file_(path_, std::ios::binary | std::ios::trunc),
      names_(std::move(names)) {
    if (!file_) throw sim::ConfigError(fmt::format("cannot create {}", path_.string()));
    for (DumpCondition& condition : conditions) pending_.push_back({std::move(condition)});
    fmt::print(file_, "{}\n# {}\n", kControlBlockMagic, scenario);
}

void ControlBlockDump::on_exit(cpu::ExecutionCore& core, const cpu::ControlBlock& block) {
    ++exits_;
    look(core, block, false);
}

void ControlBlockDump::on_failed_entry(cpu::ExecutionCore& core, const cpu::ControlBlock& block) {
    look(core, block, true);
}

bool ControlBlockDump::comes_true(Pending& pending, std::uint64_t reason, sim::Time now,
                                  bool failed) {
    const DumpCondition& condition = pending.condition;
    switch (condition.kind) {
        case DumpCondition::Kind::failed_entry:
            return failed;
        case DumpCondition::Kind::exit_number:
            return !failed && ++pending.seen == condition.number;
        case DumpCondition::Kind::exit_reason:
            return !failed && reason == condition.reason && ++pending.seen == condition.number;
        case DumpCondition::Kind::time:
            return now >= condition.time;
    }
    return false;
}

void ControlBlockDump::look(cpu::ExecutionCore& core, const cpu::ControlBlock& block, bool failed) {
    const std::uint64_t reason = block.exit_reason();
    std::string wanted;
    for (Pending& pending : pending_) {
        if (pending.done || !counts(pending.condition, core.subject())) continue;
        if (!comes_true(pending, reason, core.now(), failed)) continue;
        pending.done = true;
        if (!wanted.empty()) wanted += ", ";
        wanted += pending.condition.text;
    }
    if (!wanted.empty()) write(core, block, failed, wanted);
}

void ControlBlockDump::write(cpu::ExecutionCore& core, const cpu::ControlBlock& block, bool failed,
                             const std::string& wanted) {
    const std::uint64_t reason = block.exit_reason();
    const std::string_view name = names_.find(sim::EventKind::kVmExit, 0, reason);
    const std::string exit =
        fmt::format("exit {}, {}", exits_, name.empty() ? fmt::format("{:#x}", reason) : name);
    const sim::Subject& subject = core.subject();
    std::string processor;
    if (subject.lp != sim::kNoUnit) processor += fmt::format("lp{}", subject.lp);
    if (subject.partition != sim::kNoUnit)
        processor +=
            fmt::format("{}p{}vp{}", processor.empty() ? "" : " ", subject.partition, subject.vp);
    fmt::print(file_, "\n[dump {}]\n", ++dumps_);
    fmt::print(file_, "block = {} {:#x}\n", block.is_vmcs() ? "VMCS" : "VMCB", block.address());
    fmt::print(file_, "occasion = {}\n", failed ? "failed entry" : exit);
    fmt::print(file_, "wanted = {}\n", wanted);
    fmt::print(file_, "time = {} s\n", analysis::exact_seconds(core.now()));
    fmt::print(file_, "processor = {}\n", processor);
    for (const cpu::FieldValue& field : block.fields()) {
        const std::string text = value_text(block.is_vmcs(), field);
        fmt::print(file_, "{} {:#06x} {:#0{}x}{}{}\n", field.name, field.number, field.value,
                   2 + 2 * field.bytes, text.empty() ? "" : "  ", text);
    }
    fmt::print(file_, "[end]\n");
}

void ControlBlockDump::finish() {
    if (!file_.is_open()) return;
    file_.close();
    if (!file_) throw sim::ConfigError(fmt::format("cannot write {}", path_.string()));
}

std::vector<std::string> ControlBlockDump::missed() const {
    std::vector<std::string> missed;
    for (const Pending& pending : pending_)
        if (!pending.done) missed.push_back(pending.condition.text);
    return missed;
}

}  // namespace hvsim::app
