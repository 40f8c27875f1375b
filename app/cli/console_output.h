#pragma once
// Where the consoles' bytes go.
#include <cstdint>
#include <fstream>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "app/scenario/scenario.h"

namespace hvsim::app {

/// Sends each console to the output or its file. A single console on the output is printed as it
/// is; several are printed line by line with the VM's name in front.
class ConsoleOutput {
  public:
    /// `out` is not owned; with `quiet` nothing goes there. Throws sim::ConfigError for a file that
    /// cannot be made.
    ConsoleOutput(const Scenario& scenario, std::ostream& out, bool quiet, bool flush_bytes);

    void on_byte(std::size_t console, std::uint8_t byte);
    /// Ends an unfinished line on the output.
    void finish();
    bool uses_output() const noexcept { return on_output_ > 0; }
    /// The output stands within a line of a console.
    bool line_open() const noexcept { return line_open_; }

  private:
    struct Sink {
        bool output = false;
        std::string name;
        std::string line;
        std::unique_ptr<std::ofstream> file;
    };
    void add(const std::string& sink, const std::string& name, bool quiet,
             const sim::SourceLocation& where);

    std::vector<Sink> sinks_;
    std::ostream& out_;
    std::size_t on_output_ = 0;
    bool flush_bytes_;
    bool line_open_ = false;
};

}  // namespace hvsim::app
