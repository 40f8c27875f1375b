#pragma once
// Dumps VMCS and VMCB by field names into a file while a machine runs.
#include <filesystem>
#include <fstream>
#include <vector>

#include "app/dump_condition.h"
#include "app/scenario/scenario.h"
#include "cpu/control_block.h"

namespace hvsim::app {

class ControlBlockDump final : public cpu::ControlBlockWatch {
  public:
    /// Creates the file. Throws ConfigError when that fails. `names` has the exit reasons.
    ControlBlockDump(std::filesystem::path path, const std::string& scenario, sim::TraceNames names,
                     std::vector<DumpCondition> conditions);

    void on_exit(cpu::ExecutionCore& core, const cpu::ControlBlock& block) override;
    void on_failed_entry(cpu::ExecutionCore& core, const cpu::ControlBlock& block) override;

    /// Closes the file; throws ConfigError when it could not be written.
    void finish();
    /// Conditions that never came true, as they were written.
    std::vector<std::string> missed() const;

  private:
    struct Pending {
        DumpCondition condition;
        std::uint64_t seen = 0;  ///< exits that counted
        bool done = false;
    };

    void look(cpu::ExecutionCore& core, const cpu::ControlBlock& block, bool failed);
    static bool comes_true(Pending& pending, std::uint64_t reason, sim::Time now, bool failed);
    void write(cpu::ExecutionCore& core, const cpu::ControlBlock& block, bool failed,
               const std::string& wanted);

    std::filesystem::path path_;
    std::ofstream file_;
    sim::TraceNames names_;
    std::vector<Pending> pending_;
    std::uint64_t exits_ = 0, dumps_ = 0;
};

}  // namespace hvsim::app
