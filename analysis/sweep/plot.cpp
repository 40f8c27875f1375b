#include "analysis/sweep/plot.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "analysis/sweep/results_table.h"
#include "sim/error.h"

namespace hvsim::analysis {
namespace {

struct Scale {
    const char* unit;
    std::uint64_t size;
};
// The largest unit that leaves the greatest value at 1 or more.
constexpr std::array kPicoseconds{Scale{"s", 1'000'000'000'000}, Scale{"ms", 1'000'000'000},
                                  Scale{"us", 1'000'000}, Scale{"ns", 1'000}, Scale{"ps", 1}};
constexpr std::array kNanoseconds{Scale{"s", 1'000'000'000}, Scale{"ms", 1'000'000},
                                  Scale{"us", 1'000}, Scale{"ns", 1}};
constexpr std::array kBytes{Scale{"GiB", 1 << 30}, Scale{"MiB", 1 << 20}, Scale{"KiB", 1 << 10},
                            Scale{"bytes", 1}};

template <std::size_t size>
Scale fitting(const std::array<Scale, size>& scales, std::uint64_t greatest) {
    for (const Scale& scale : scales)
        if (greatest >= scale.size) return scale;
    return scales.back();
}

Scale scale_of(const std::string& unit, std::uint64_t greatest) {
    if (unit == "ps") return fitting(kPicoseconds, greatest);
    if (unit == "ns") return fitting(kNanoseconds, greatest);
    if (unit == "bytes") return fitting(kBytes, greatest);
    return {"count", 1};
}

/// A string of gnuplot's; in single quotes only the quote itself has a meaning.
std::string in_quotes(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') out += '\'';
        out += c == '\n' ? ' ' : c;
    }
    return out + "'";
}

bool is_number(const std::string& text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

std::string value_of(const PointRow& point, const std::string& key) {
    for (const auto& [name, value] : point.settings)
        if (name == key) return value;
    return {};
}

class Plot {
  public:
    Plot(SweepResults& results, const PlotRequest& request) : results_(results), request_(request) {
        require_key(request.x, "--x");
        if (!request.group.empty()) require_key(request.group, "--group");
        for (const auto& [key, value] : request.where) require_key(key, "--where");
        for (const std::string& name : request.y) require_metric(results, name);
        choose_points();
        collect();
    }

    std::string program(const std::filesystem::path& file) const {
        const Scale scale = scale_of(unit_, greatest_);
        std::string text =
            fmt::format("set terminal {}\nset output {}\n", terminal(), in_quotes(file.string()));
        if (!request_.title.empty())
            text += "set title " + in_quotes(request_.title) + " noenhanced\n";
        text += fmt::format(
            "set xlabel {} noenhanced\nset ylabel {} noenhanced\n", in_quotes(request_.x),
            in_quotes(fmt::format("{} [{}]", fmt::join(request_.y, ", "), scale.unit)));
        text +=
            "set key outside below noenhanced\nset grid ytics\nset border 3\nset tics nomirror\n"
            "set yrange [0:*]\nset offsets graph 0.05, graph 0.05, graph 0.05, 0\n";
        text += axis();
        std::string curves;
        int index = 0;
        for (const auto& [name, values] : series_) {
            text += fmt::format("$d{} << EOD\n", index);
            for (const auto& [x, y] : values)
                text += fmt::format("{} {}\n", numeric_ ? x_values_[x] : std::to_string(x),
                                    static_cast<double>(y) / static_cast<double>(scale.size));
            text += "EOD\n";
            curves += fmt::format(
                "{}$d{} using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.7 title {}",
                curves.empty() ? "plot " : ", ", index, in_quotes(name));
            ++index;
        }
        return text + curves + '\n';
    }

  private:
    void require_key(const std::string& key, const char* option) {
        const std::vector<std::string> keys = results_.keys();
        if (std::find(keys.begin(), keys.end(), key) != keys.end()) return;
        throw sim::ConfigError(fmt::format("{}: the sweep has no parameter \"{}\"", option, key),
                               fmt::format("it has {}", fmt::join(keys, ", ")));
    }

    void choose_points() {
        for (const auto& named : results_.points()) {
            const PointRow& point = named.second;
            const bool wanted = std::all_of(
                request_.where.begin(), request_.where.end(),
                [&](const auto& where) { return value_of(point, where.first) == where.second; });
            if (wanted) points_.push_back(point);
        }
        std::sort(points_.begin(), points_.end(),
                  [](const PointRow& a, const PointRow& b) { return a.id < b.id; });
        for (const std::string& key : results_.keys()) {
            if (key == request_.x || key == request_.group) continue;
            std::set<std::string> values;
            for (const PointRow& point : points_) values.insert(value_of(point, key));
            if (values.size() > 1)
                throw sim::ConfigError(fmt::format("{} varies too", key),
                                       fmt::format("choose one with --where {}={}, or let it be "
                                                   "--group",
                                                   key, *values.begin()));
        }
    }

    /// Values of x stand in the order in which the sweep named them, numbers by their size.
    void collect() {
        for (const PointRow& point : points_) {
            const std::string x = value_of(point, request_.x);
            if (std::find(x_values_.begin(), x_values_.end(), x) == x_values_.end())
                x_values_.push_back(x);
        }
        numeric_ = std::all_of(x_values_.begin(), x_values_.end(), is_number);
        if (numeric_)
            std::stable_sort(x_values_.begin(), x_values_.end(),
                             [](const std::string& a, const std::string& b) {
                                 return std::stod(a) < std::stod(b);
                             });
        for (const PointRow& point : points_)
            for (const std::string& name : request_.y) add(point, name);
        if (series_.empty())
            throw sim::ConfigError("there is nothing to plot: no point has a result");
    }

    void add(const PointRow& point, const std::string& name) {
        std::uint64_t value = 0;
        std::string unit;
        if (!results_.metric(point.id, name, value, unit)) return;
        if (!unit_.empty() && unit != unit_)
            throw sim::ConfigError(
                fmt::format("{} is in {}, the metrics before it in {}", name, unit, unit_),
                "plot metrics of one unit together");
        unit_ = unit;
        greatest_ = std::max(greatest_, value);
        const std::string group =
            request_.group.empty()
                ? std::string()
                : fmt::format("{} = {}", request_.group, value_of(point, request_.group));
        const std::string title = request_.y.size() == 1 && !group.empty() ? group
                                  : group.empty()                          ? name
                                                  : fmt::format("{}, {}", name, group);
        const auto x = std::find(x_values_.begin(), x_values_.end(), value_of(point, request_.x));
        series_of(title)[static_cast<std::size_t>(x - x_values_.begin())] = value;
    }

    std::map<std::size_t, std::uint64_t>& series_of(const std::string& title) {
        for (auto& [name, values] : series_)
            if (name == title) return values;
        return series_.emplace_back(title, std::map<std::size_t, std::uint64_t>{}).second;
    }

    std::string axis() const {
        if (numeric_) return request_.logarithmic_x ? "set logscale x 2\n" : "";
        std::string tics;
        for (std::size_t i = 0; i < x_values_.size(); ++i)
            tics += fmt::format("{}{} {}", i == 0 ? "" : ", ", in_quotes(x_values_[i]), i);
        return fmt::format("set xtics ({}) noenhanced\n", tics);
    }

    std::string terminal() const {
        const std::string kind = request_.output.extension().string();
        if (kind == ".svg") return "svg size 800,480 dynamic font 'sans,13' background '#ffffff'";
        if (kind == ".png") return "pngcairo size 1000,600 font 'sans,12'";
        throw sim::ConfigError(fmt::format("{}: expected a name that ends with .svg or .png",
                                           request_.output.string()));
    }

    SweepResults& results_;
    const PlotRequest& request_;
    std::vector<PointRow> points_;
    std::vector<std::string> x_values_;
    bool numeric_ = false;
    std::string unit_;
    std::uint64_t greatest_ = 0;
    std::vector<std::pair<std::string, std::map<std::size_t, std::uint64_t>>> series_;
};

}  // namespace

std::string plot_program(SweepResults& results, const PlotRequest& request,
                         const std::filesystem::path& file) {
    return Plot(results, request).program(file);
}

}  // namespace hvsim::analysis
