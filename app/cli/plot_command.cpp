#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <ostream>

#include "analysis/sweep/plot.h"
#include "app/cli/program.h"
#include "app/sweep/process.h"
#include "app/whole_file.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

namespace fs = std::filesystem;

analysis::Settings settings_of(const std::vector<std::string>& where) {
    analysis::Settings settings;
    for (const std::string& option : where) {
        const std::size_t equals = option.find('=');
        if (equals == std::string::npos)
            throw sim::ConfigError(fmt::format("--where {}: expected KEY=VALUE", option));
        settings.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    }
    return settings;
}

/// Files of gnuplot's, gone with this object.
class PlotFolder {
  public:
    PlotFolder() {
        std::string name = (fs::temp_directory_path() / "hvsim-plot-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw sim::ConfigError("cannot create a folder for temporary files");
        path_ = name;
    }
    ~PlotFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    PlotFolder(const PlotFolder&) = delete;
    PlotFolder& operator=(const PlotFolder&) = delete;
    const fs::path& path() const noexcept { return path_; }

  private:
    fs::path path_;
};

void run_gnuplot(const fs::path& folder) {
    ProcessOutput gnuplot;
    try {
        gnuplot = run_process({"gnuplot", (folder / "program").string()}, folder);
    } catch (const sim::ConfigError& error) {
        throw sim::ConfigError(error.what(), "Debian's package gnuplot-nox has it");
    }
    if (gnuplot.end.exit_code != 0)
        throw sim::ConfigError(fmt::format("gnuplot failed: {}{}", gnuplot.end.reason,
                                           gnuplot.messages.substr(0, 500)));
}

}  // namespace

int plot_command(const PlotArguments& arguments, const Surroundings& surroundings) {
    analysis::SweepResults results(arguments.results);
    if (arguments.list) {
        for (const std::string& key : results.keys())
            surroundings.out << "parameter " << key << '\n';
        for (const std::string& name : results.metric_names())
            surroundings.out << "metric " << name << '\n';
        return kExitMet;
    }
    const analysis::PlotRequest request{
        arguments.x,     arguments.y,      arguments.group,      settings_of(arguments.where),
        arguments.title, arguments.output, arguments.logarithmic};
    const PlotFolder folder;
    const fs::path picture = folder.path() / "picture";
    const std::string program = analysis::plot_program(results, request, picture);
    write_whole_file(folder.path() / "program", program);
    run_gnuplot(folder.path());
    const auto drawn = text_of(picture);
    if (!drawn || drawn->empty()) throw sim::ConfigError("gnuplot drew nothing");
    write_whole_file(arguments.output, *drawn);
    return kExitMet;
}

}  // namespace hvsim::app
