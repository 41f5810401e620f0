"""Drop-in faces: what an app writes for another extension, answered by Flask-Rampart.

A face has the names, arguments, defaults, settings, exceptions and answers of the extension that it stands in for, so
that an app moves by changing its imports. What holds for each, in order:

1. it is built on what every user of this package can import; where that cannot say something, that grows, not the face;
2. it never imports its incumbent, which need not be installed;
3. where the incumbent is insecure, ours holds. The app's log says so once, with the setting that restores theirs, if
   there is one that can be answered for;
4. every difference stands in a table of ``docs/migrate``, and each row has a test.

``RAMPART_ERROR_FORMAT`` says whose bodies and statuses a face answers with.

:mod:`.jwt_extended` is Flask-JWT-Extended's, :mod:`.limiter` Flask-Limiter's, :mod:`.talisman` Flask-Talisman's,
:mod:`.cors` Flask-Cors', :mod:`.wtf_csrf` the CSRF protection of Flask-WTF.
"""
