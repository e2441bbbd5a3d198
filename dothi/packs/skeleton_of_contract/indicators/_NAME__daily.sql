---
title:
  vi: Trung bình ngày
  en: Mean of the day
words:
  vi: Trung bình trong ngày của các số đo hợp lệ.
  en: The mean of a day's valid values.
source: Văn bản hoặc nguồn số liệu làm căn cứ
inputs:
  _NAME_: [_PARAMETER_]
key: [_KEY_]
period: {grain: day, zone: _ZONE_}
freshness: P2D
better: none
outputs:
  daily_mean:
    title: _PARAMETER_TITLE_
    unit: _UNIT_
    decimals: _DECIMALS_
---
SELECT _KEY_, day AS time, avg(value) AS daily_mean
FROM _NAME_
WHERE parameter = '_PARAMETER_' AND usable
GROUP BY _KEY_, day
